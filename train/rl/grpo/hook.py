"""TRL's rollout hook, which is all of its trainer that is ours, and the figures of each step."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback
from trl import GRPOTrainer

from train.rl.batch import Experience, logprobs_and_entropy, passed, sampled_logprobs
from train.rl.collect import Batch, collect_shared, figures, orders_of, times_of
from train.rl.config import RLSettings
from train.rl.episodes import Episodes, seed_of
from train.rl.gap import check_gap, gap_of
from train.rl.grpo.checkpoints import mark
from train.rl.parallel import refresh, sampler_of
from train.rl.record import Recorder
from train.rl.reward import Rewards
from train.rl.sampler import Sampler
from train.rl.setup import Inputs
from train.rl.watch import Guard
from train.rl.writer import Writer

__all__ = ["Hook", "judged_reward"]

_FROM_TRL = {
    "kl": "kl_token",
    "entropy": "entropy",
    "clip_ratio/region_mean": "clip_fraction",
    "loss": "policy_loss",
    "grad_norm": "grad_norm",
    "frac_reward_zero_std": "groups_without_signal",
}


def judged_reward(prompts: Sequence[str], judged: Sequence[float | None], **_: Any) -> list[float | None]:
    """The rewards that came with the rollouts; TRL drops an episode whose reward is None."""
    return list(judged)


class Hook(TrainerCallback):
    """TRL's rollout hook, and the figures of each step."""

    def __init__(
        self, inputs: Inputs, settings: RLSettings, rewards: Rewards, recorder: Recorder | None, out: Path, *, cpu: bool
    ) -> None:
        self._inputs, self._settings, self._rewards, self._recorder = inputs, settings, rewards, recorder
        self._out, self._cpu = out, cpu
        self._guard = Guard(settings.watch)
        self._tasks = {task.id: task for task in inputs.tasks}
        self._cycle = settings.grpo.minibatches * settings.grpo.iterations
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        self._episodes: Episodes | None = None
        self._sampler: Sampler | None = None
        self._writer: Writer | None = None
        self._batches: tuple[Batch, ...] = ()
        self._started = 0.0
        self._learned: dict[str, list[float]] = {}

    def rollout(self, prompts: list[str], trainer: GRPOTrainer) -> dict[str, Any]:
        """`prompts`: each task's id as often as it has episodes. One sequence each, with tool tokens masked out."""
        self._started = time.perf_counter()
        settings = self._settings
        if self._episodes is None or self._writer is None:
            self._sampler, self._writer = sampler_of(
                trainer.model, trainer.accelerator, self._inputs, settings, self._out, cpu=self._cpu
            )
            self._episodes = self._runner.run(self._open(self._sampler))
        refresh(self._writer, trainer.accelerator)
        tasks = [self._tasks[name] for name in prompts[:: settings.group]]
        first = trainer.accelerator.process_index * len(tasks)
        step = trainer.state.global_step // self._cycle
        # TRL shuffles the batch by the global random state, which a resumed run would have elsewhere.
        torch.manual_seed(seed_of(settings.seed, "trl", step, trainer.accelerator.process_index))
        orders = orders_of([tasks[0]] * first + tasks, settings.group, step, settings.seed)[first * settings.group :]
        self._batches = self._runner.run(
            collect_shared(self._episodes, self._rewards, orders, trainer.accelerator, self._guard)
        )
        self._learned = {name: [value] for name, value in self._gap(trainer).items()}
        batch = self._batches[trainer.accelerator.process_index]
        fields: dict[str, list[Any]] = {
            name: [] for name in ("prompt_ids", "completion_ids", "logprobs", "env_mask", "judged")
        }
        end = self._inputs.tokenizer.eos_token_id
        for one in batch.judged:
            last = one.rollout.sequences[-1] if one.rollout.sequences else None
            # TRL wants a completion of every prompt: an episode without one is a masked token without a reward.
            fields["prompt_ids"].append(last.prompt_ids if last else [end])
            fields["completion_ids"].append(last.completion_ids if last else [end])
            fields["logprobs"].append(last.logprobs if last else [0.0])
            fields["env_mask"].append(last.mask if last else [0])
            fields["judged"].append(one.value if last else None)
        return fields

    def _gap(self, trainer: GRPOTrainer) -> dict[str, float]:
        """How far sampler and learner are apart on what was just sampled by all processes."""
        experiences = [
            Experience(sequence, 0.0)
            for batch in self._batches
            for one in batch.judged
            for sequence in one.rollout.sequences
        ]
        if not experiences:
            return {}
        sampled, valid = sampled_logprobs(experiences, trainer.accelerator.device)
        temperature = self._settings.temperature
        with torch.no_grad():
            learned = passed(
                experiences,
                lambda micro: logprobs_and_entropy(trainer.model, micro, temperature)[0],
                sampled,
                self._settings,
                trainer.accelerator,
            )
        found = gap_of(sampled, learned, valid)
        check_gap(found, self._settings, self._rewards.say)
        return found

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        """Write our line when a batch has been learned from."""
        if not self._batches or logs is None or self._recorder is None or "train_runtime" in logs:
            return
        for name, ours in _FROM_TRL.items():
            if name in logs and logs[name] == logs[name]:
                self._learned.setdefault(ours, []).append(float(logs[name]))
        if state.global_step % self._cycle:
            return
        learned = {name: sum(values) / len(values) for name, values in self._learned.items()}
        found = figures([one for batch in self._batches for one in batch.judged])
        if "kl_token" in learned:
            learned["kl"] = learned["kl_token"] * found["sampled_tokens"]
        times = times_of(self._batches, time.perf_counter() - self._started)
        self._recorder.write(state.global_step // self._cycle, found | learned | times)
        self._batches, self._learned = (), {}

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The checkpoint is on the disk."""
        mark(Path(args.output_dir), state.global_step)

    def close(self) -> None:
        """Close what the episodes shared."""
        if self._sampler is not None:
            self._sampler.close()
        self._runner.run(self._stack.aclose())
        self._runner.close()

    async def _open(self, sampler: Sampler) -> Episodes:
        shared = await self._stack.enter_async_context(self._inputs.open_shared())
        return Episodes(self._inputs.settings, shared, sampler)
