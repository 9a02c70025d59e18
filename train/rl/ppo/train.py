"""PPO from top to bottom: episodes, rewards, update, record, checkpoint.

Deviations from the textbook: the critic has its own backbone and may warm up alone; the old log-probabilities are those
of the sampler, which samples from the very weights (what rounding makes of that is watched: `gap`); an episode whose
history was compacted gives several sequences with one reward; tool tokens are no steps.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from safetensors.torch import load_file, save_file

from judger.errors import JudgerError
from policy.rollouts import Task
from train.precision import compute_dtype, own_dtype, save, without_dropout
from train.rl.batch import Experience
from train.rl.checkpoint import (
    Checkpoints,
    load_optimizer,
    optimizer_state,
    random_state,
    restore_random_state,
    write_folder,
)
from train.rl.collect import collect_shared, figures, orders_of, tasks_of, times_of
from train.rl.config import RLSettings
from train.rl.episodes import Episodes, seed_of
from train.rl.parallel import make_accelerator, refresh, sampler_of, whole_state
from train.rl.ppo.critic import Critic, rubric_text
from train.rl.ppo.learner import Learner
from train.rl.record import Recorder
from train.rl.reward import Judged, Rewards
from train.rl.sampler import Sampler
from train.rl.setup import Inputs, load_model, write_reference
from train.rl.stop import Stop
from train.rl.watch import Guard
from train.rl.writer import Writer

__all__ = ["train_ppo"]


@dataclass(slots=True)
class _Run:
    """What the steps of a run share."""

    inputs: Inputs
    settings: RLSettings
    learner: Learner
    sampler: Sampler
    writer: Writer
    checkpoints: Checkpoints
    accelerator: Accelerator
    guard: Guard

    def save(self, step: int) -> None:
        """Everything a run needs to go on after `step`: told by all processes, written by the first."""
        learner, is_main = self.learner, self.accelerator.is_main_process
        policy, critic = (whole_state(model, self.accelerator) for model in (learner.policy, learner.critic))
        states = {
            "optimizer": optimizer_state(learner.optimizer, keep=is_main),
            "critic_optimizer": optimizer_state(learner.critic_optimizer, keep=is_main),
        }

        def write(folder: Path) -> None:
            # In float32, so that a run that was interrupted goes on from the very weights.
            self.write_policy(folder / "policy", policy, "float32")
            save_file(_contiguous(critic), folder / "critic.safetensors")
            if learner.average is not None:
                save_file(_contiguous(learner.average.state_dict()), folder / "critic_average.safetensors")
            for name, state in states.items():
                save_file(state, folder / f"{name}.safetensors")
            save_file(random_state(), folder / "random.safetensors")

        if is_main:
            self.checkpoints.save(step, write, {"kl_coefficient": learner.kl.coefficient})
        self.accelerator.wait_for_everyone()

    def restore(self, path: Path) -> int:
        """The step of a checkpoint, which optimizers, the critic's average and random state are brought to."""
        state = self.checkpoints.state(path)
        learner = self.learner
        if learner.average is not None:
            learner.average.load_state_dict(load_file(path / "critic_average.safetensors"))
        load_optimizer(learner.optimizer, path / "optimizer.safetensors")
        load_optimizer(learner.critic_optimizer, path / "critic_optimizer.safetensors")
        restore_random_state(load_file(path / "random.safetensors"))
        learner.kl.coefficient = state["kl_coefficient"]
        return int(state["step"])

    def write_policy(self, folder: Path, state: dict[str, Any], dtype: str) -> None:
        """A model folder: weights, tokenizer and template."""
        model = self.accelerator.unwrap_model(self.learner.policy)
        save(model, self.inputs.tokenizer, folder, dtype=dtype, state=state)


def _contiguous(state: dict[str, Any]) -> dict[str, Any]:
    return {name: value.contiguous() for name, value in state.items()}


def train_ppo(inputs: Inputs, settings: RLSettings, out: Path, rewards: Rewards, *, cpu: bool = False) -> Path:
    """Train, or go on with, the run in `out`; the folder of the trained model.

    Raises ConfigError before anything is loaded, and with the state saved Stop, as JudgeLost is one, or another
    JudgerError of the judge's connection.
    """
    accelerator = make_accelerator(settings, cpu=cpu, wait=rewards.wait)
    torch.manual_seed(seed_of(settings.seed, "init"))
    checkpoints = Checkpoints(out / "checkpoints", settings.keep)
    latest = checkpoints.latest()
    folder = out / "reference"
    if latest is None and accelerator.is_main_process:
        write_reference(inputs, folder)
    accelerator.wait_for_everyone()
    policy = load_model(str(latest / "policy" if latest else folder), attention=settings.attention)
    critic = Critic.of(policy)
    if latest:
        critic.load_state_dict(load_file(latest / "critic.safetensors"))
    if settings.gradient_checkpointing:
        for model in (policy, critic.backbone):
            model.gradient_checkpointing_enable({"use_reentrant": False})
    reference = load_model(str(folder), compute_dtype(settings.precision, cpu=cpu), settings.attention)
    learner = Learner(without_dropout(policy).train(), critic.train(), reference, settings, accelerator, rewards.say)
    sampler, writer = sampler_of(learner.policy, accelerator, inputs, settings, out, cpu=cpu)
    run = _Run(inputs, settings, learner, sampler, writer, checkpoints, accelerator, Guard(settings.watch))
    done = run.restore(latest) if latest else 0
    if done < settings.steps:
        asyncio.run(_steps(run, out, rewards, done))
    state = whole_state(learner.policy, accelerator)
    if accelerator.is_main_process:
        write_folder(out / "model", lambda part: run.write_policy(part, state, own_dtype(str(folder))))
    accelerator.wait_for_everyone()
    return out / "model"


async def _steps(run: _Run, out: Path, rewards: Rewards, done: int) -> None:
    settings, inputs = run.settings, run.inputs
    with ExitStack() as stack:
        # Figures are of all processes together: one of them records.
        recorder = None
        if run.accelerator.is_main_process:
            recorder = stack.enter_context(Recorder(out, step=done, steps=settings.steps))
            rewards.say = run.learner.say = recorder.say
        try:
            async with inputs.open_shared() as shared:
                episodes = Episodes(inputs.settings, shared, run.sampler)
                for step in range(done, settings.steps):
                    found = await _step(run, episodes, rewards, step)
                    if recorder is not None:
                        recorder.write(step + 1, found)
                    done = step + 1
                    if done % settings.save_every == 0 or done == settings.steps:
                        run.save(done)
        except (JudgerError, Stop):
            if done and done % settings.save_every:
                run.save(done)
            raise
        finally:
            run.sampler.close()


async def _step(run: _Run, episodes: Episodes, rewards: Rewards, step: int) -> dict[str, float]:
    """One batch; its figures, the same in every process."""
    settings, accelerator = run.settings, run.accelerator
    started = time.perf_counter()
    await asyncio.to_thread(refresh, run.writer, accelerator)
    tasks = tasks_of(run.inputs.tasks, step, settings.tasks_per_step, settings.seed)
    orders = orders_of(tasks, settings.group, step, settings.seed)
    mine = orders[accelerator.process_index :: accelerator.num_processes]
    batches = await collect_shared(episodes, rewards, mine, accelerator, run.guard)
    # In the order of the orders, however many processes they were dealt to.
    by_turn = zip_longest(*(batch.judged for batch in batches))
    judged = [one for turn in by_turn for one in turn if one is not None]
    experiences = experiences_of(judged, run.inputs.tokenizer)
    learned: dict[str, float] = {}
    if experiences:
        # In a thread of its own, so that the event loop stays free to keep the judge's connection alive.
        learned = await asyncio.to_thread(run.learner.update, experiences, step)
    else:
        rewards.say(f"step {step + 1}: no episode of this batch was scored, so nothing was learned from it")
    return figures(judged) | learned | times_of(batches, time.perf_counter() - started)


def experiences_of(judged: Sequence[Judged], tokenizer: Any) -> list[Experience]:
    """What is learned from: every sequence of every scored episode."""

    @cache
    def rubric(task: Task) -> tuple[int, ...]:
        return tuple(tokenizer(rubric_text(task.criteria), add_special_tokens=False)["input_ids"])

    return [
        Experience(sequence, one.value, rubric(one.rollout.order.task))
        for one in judged
        if one.value is not None
        for sequence in one.rollout.sequences
    ]
