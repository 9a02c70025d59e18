"""PPO from top to bottom: episodes, rewards, update, record, checkpoint.

Deviations from the textbook: the critic has its own backbone and may warm up alone; the old log-probabilities are those
of the sampler, which samples from the very weights; an episode whose history was compacted gives several sequences
with one reward; tool tokens are no steps.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType, gather_object
from safetensors.torch import load_file, save_file
from torch import nn

from judger.errors import JudgerError
from policy.errors import ConfigError
from policy.rollouts import Task
from train.rl.checkpoint import (
    Checkpoints,
    load_optimizer,
    random_state,
    restore_random_state,
    save_optimizer,
    write_folder,
)
from train.rl.collect import Batch, collect, figures, orders_of, tasks_of
from train.rl.config import RLSettings
from train.rl.episodes import Episodes, seed_of
from train.rl.ppo.batch import Experience
from train.rl.ppo.critic import Critic, rubric_text
from train.rl.ppo.learner import Learner
from train.rl.record import Recorder
from train.rl.reward import JudgeLost, Rewards
from train.rl.sampler import Sampler
from train.rl.setup import Inputs, load_model

__all__ = ["train_ppo"]


@dataclass(slots=True)
class _Run:
    """What the steps of a run share."""

    inputs: Inputs
    settings: RLSettings
    learner: Learner
    checkpoints: Checkpoints
    accelerator: Accelerator

    @property
    def policy(self) -> Any:
        return self.accelerator.unwrap_model(self.learner.policy)

    def save(self, step: int) -> None:
        """Everything a run needs to go on after `step`."""
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            self.checkpoints.save(step, self._write, {"kl_coefficient": self.learner.kl.coefficient})
        self.accelerator.wait_for_everyone()

    def restore(self, path: Path) -> int:
        """The step of a checkpoint, which critic, optimizers and random state are brought to."""
        state = self.checkpoints.state(path)
        learner = self.learner
        self.accelerator.unwrap_model(learner.critic).load_state_dict(load_file(path / "critic.safetensors"))
        if learner.average is not None:
            learner.average.load_state_dict(load_file(path / "critic_average.safetensors"))
        load_optimizer(learner.optimizer, path / "optimizer.safetensors")
        load_optimizer(learner.critic_optimizer, path / "critic_optimizer.safetensors")
        restore_random_state(load_file(path / "random.safetensors"))
        learner.kl.coefficient = state["kl_coefficient"]
        return int(state["step"])

    def _write(self, folder: Path) -> None:
        save_policy(self.policy, self.inputs.tokenizer, folder / "policy")
        critic = self.accelerator.unwrap_model(self.learner.critic)
        save_weights(critic, folder / "critic.safetensors")
        if self.learner.average is not None:
            save_weights(self.learner.average, folder / "critic_average.safetensors")
        save_optimizer(self.learner.optimizer, folder / "optimizer.safetensors")
        save_optimizer(self.learner.critic_optimizer, folder / "critic_optimizer.safetensors")
        save_file(random_state(), folder / "random.safetensors")


def save_weights(model: nn.Module, path: Path) -> None:
    """All that a model's state_dict holds."""
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, path)


def save_policy(model: Any, tokenizer: Any, folder: Path) -> None:
    """A model folder: weights, tokenizer and template."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def train_ppo(inputs: Inputs, settings: RLSettings, out: Path, rewards: Rewards, *, cpu: bool = False) -> Path:
    """Train, or go on with, the run in `out`; the folder of the trained model.

    Raises ConfigError before anything is loaded, and JudgeLost, or another JudgerError of the judge's connection, with
    the state saved.
    """
    accelerator = Accelerator(cpu=cpu)
    if settings.ppo.critic_average and accelerator.distributed_type in (
        DistributedType.FSDP,
        DistributedType.DEEPSPEED,
    ):
        raise ConfigError("ppo.critic_average: needs whole weights in every process, which FSDP and ZeRO do not keep")
    torch.manual_seed(seed_of(settings.seed, "init", accelerator.process_index))
    checkpoints = Checkpoints(out / "checkpoints", settings.keep)
    latest = checkpoints.latest()
    reference_folder = out / "reference"
    if latest is None:
        begin = load_model(inputs.model, settings.dtype)
        if accelerator.is_main_process:
            write_folder(reference_folder, lambda folder: save_policy(begin, inputs.tokenizer, folder))
        accelerator.wait_for_everyone()
    reference = load_model(str(reference_folder), settings.dtype)
    policy = load_model(str(latest / "policy" if latest else reference_folder), settings.dtype)
    learner = Learner(policy, Critic.of(reference), reference, settings, accelerator)
    run = _Run(inputs, settings, learner, checkpoints, accelerator)
    done = run.restore(latest) if latest else 0
    if done < settings.steps:
        asyncio.run(_steps(run, out, rewards, done))
    if accelerator.is_main_process:
        write_folder(out / "model", lambda folder: save_policy(run.policy, inputs.tokenizer, folder))
    return out / "model"


async def _steps(run: _Run, out: Path, rewards: Rewards, done: int) -> None:
    settings, inputs, accelerator = run.settings, run.inputs, run.accelerator
    sampler = Sampler(run.policy, inputs.tokenizer, temperature=settings.temperature, turn_tokens=settings.turn_tokens)
    folder = out if accelerator.is_main_process else out / f"process-{accelerator.process_index}"
    with Recorder(folder, step=done, steps=settings.steps) as recorder:
        rewards.say = recorder.say
        try:
            async with inputs.open_shared() as shared:
                episodes = Episodes(inputs.settings, shared, sampler)
                for step in range(done, settings.steps):
                    recorder.write(step + 1, await _step(run, episodes, rewards, step))
                    done = step + 1
                    if done % settings.save_every == 0 or done == settings.steps:
                        run.save(done)
        except (JudgeLost, JudgerError):
            if done and done % settings.save_every:
                run.save(done)
            raise
        finally:
            sampler.close()


async def _step(run: _Run, episodes: Episodes, rewards: Rewards, step: int) -> dict[str, float]:
    """One batch; its figures."""
    settings, accelerator = run.settings, run.accelerator
    started = time.perf_counter()
    tasks = tasks_of(run.inputs.tasks, step, settings.tasks_per_step, settings.seed)
    orders = orders_of(tasks, settings.group, step, settings.seed)
    batch = await collect(episodes, rewards, orders[accelerator.process_index :: accelerator.num_processes])
    experiences = experiences_of(batch, run.inputs.tokenizer)
    if not all(gather_object([bool(experiences)])):
        rewards.say(f"step {step + 1}: no episode of this batch was scored, so nothing was learned from it")
        learned: dict[str, float] = {}
    else:
        # In a thread of its own, so that the event loop stays free to keep the judge's connection alive.
        learned = await asyncio.to_thread(run.learner.update, experiences, step)
    seconds = time.perf_counter() - started
    times = {"seconds": seconds, "seconds/episodes": batch.seconds, "judge_share": batch.alone / seconds}
    return figures(gather_object(list(batch.judged))) | learned | times


def experiences_of(batch: Batch, tokenizer: Any) -> list[Experience]:
    """What is learned from: every sequence of every scored episode."""

    @cache
    def rubric(task: Task) -> tuple[int, ...]:
        return tuple(tokenizer(rubric_text(task.criteria), add_special_tokens=False)["input_ids"])

    return [
        Experience(sequence, one.value, rubric(one.rollout.order.task))
        for one in batch.judged
        if one.value is not None
        for sequence in one.rollout.sequences
    ]
