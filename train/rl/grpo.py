"""GRPO by TRL's trainer, on the same episodes and rewards as PPO: its rollout hook is all that is ours.

Shao et al. 2024 (arXiv 2402.03300). A prompt of the data set is the id of a task; an episode whose history was
compacted is learned from in its last sequence, since TRL takes one completion a prompt.
"""

from __future__ import annotations

import asyncio
import shutil
import time
import warnings
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from judger.errors import JudgerError
from train.rl.checkpoint import write_folder
from train.rl.collect import Batch, collect, figures, orders_of, tasks_of
from train.rl.config import RLSettings
from train.rl.episodes import Episodes, seed_of
from train.rl.record import Recorder
from train.rl.reward import JudgeLost, Rewards
from train.rl.sampler import Sampler
from train.rl.setup import Inputs, load_model

__all__ = ["train_grpo"]

_WHOLE = "whole"
"""A file in a checkpoint of TRL's, written last: one without it was cut by a crash."""

_FROM_TRL = {
    "kl": "kl_token",
    "entropy": "entropy",
    "clip_ratio/region_mean": "clip_fraction",
    "loss": "policy_loss",
    "grad_norm": "grad_norm",
    "frac_reward_zero_std": "groups_without_signal",
}


def train_grpo(inputs: Inputs, settings: RLSettings, out: Path, rewards: Rewards, *, cpu: bool = False) -> Path:
    """Train, or go on with, the run in `out`; the folder of the trained model. Raises as `train_ppo` does."""
    from datasets import Dataset

    reference = out / "reference"
    if not reference.exists():
        begin = load_model(inputs.model, settings.dtype)
        write_folder(reference, lambda folder: _save(begin, inputs.tokenizer, folder))
    latest = _latest(out / "checkpoints")
    cycle = settings.grpo.minibatches * settings.grpo.iterations
    done = int(latest.name.rpartition("-")[2]) // cycle if latest else 0
    with Recorder(out, step=done, steps=settings.steps) as recorder:
        rewards.say = recorder.say
        hook = _Hook(inputs, settings, rewards, recorder)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*'rollout_func'.*experimental")
            trainer = GRPOTrainer(
                model=load_model(str(reference), settings.dtype),  # TRL loads its own reference from the same folder
                reward_funcs=[judged_reward],
                args=_arguments(settings, out, inputs, cpu=cpu),
                train_dataset=Dataset.from_list([{"prompt": name} for name in _order(inputs, settings)]),
                processing_class=inputs.tokenizer,
                rollout_func=hook.rollout,
                callbacks=[hook],
            )
        try:
            if done < settings.steps:
                trainer.train(resume_from_checkpoint=str(latest) if latest else None)
        except (JudgeLost, JudgerError):
            if trainer.state.global_step:
                trainer._save_checkpoint(trainer.model, trial=None)
                _mark(Path(trainer.args.output_dir), trainer.state.global_step)
            raise
        finally:
            hook.close()
        model = trainer.accelerator.unwrap_model(trainer.model)
        if done >= settings.steps and latest:
            model = load_model(str(latest), settings.dtype)
        if trainer.accelerator.is_main_process:
            write_folder(out / "model", lambda folder: _save(model, inputs.tokenizer, folder))
    return out / "model"


def judged_reward(prompts: Sequence[str], judged: Sequence[float | None], **_: Any) -> list[float | None]:
    """The rewards that came with the rollouts; TRL drops an episode whose reward is None."""
    return list(judged)


class _Hook(TrainerCallback):
    """TRL's rollout hook, and the figures of each step."""

    def __init__(self, inputs: Inputs, settings: RLSettings, rewards: Rewards, recorder: Recorder) -> None:
        self._inputs, self._settings, self._rewards, self._recorder = inputs, settings, rewards, recorder
        self._tasks = {task.id: task for task in inputs.tasks}
        self._cycle = settings.grpo.minibatches * settings.grpo.iterations
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        self._episodes: Episodes | None = None
        self._sampler: Sampler | None = None
        self._batch: Batch | None = None
        self._started = 0.0
        self._learned: dict[str, list[float]] = {}

    def rollout(self, prompts: list[str], trainer: GRPOTrainer) -> dict[str, Any]:
        """`prompts`: each task's id as often as it has episodes. One sequence each, with tool tokens masked out."""
        self._started = time.perf_counter()
        if self._episodes is None:
            model = trainer.accelerator.unwrap_model(trainer.model)
            self._episodes = self._runner.run(self._open(model))
        settings = self._settings
        tasks = [self._tasks[name] for name in prompts[:: settings.group]]
        first = trainer.accelerator.process_index * len(tasks)
        step = trainer.state.global_step // self._cycle
        # TRL shuffles the batch by the global random state, which a resumed run would have elsewhere.
        torch.manual_seed(seed_of(settings.seed, "trl", step, trainer.accelerator.process_index))
        orders = orders_of([tasks[0]] * first + tasks, settings.group, step, settings.seed)[first * settings.group :]
        self._batch = self._runner.run(collect(self._episodes, self._rewards, orders))
        fields: dict[str, list[Any]] = {
            name: [] for name in ("prompt_ids", "completion_ids", "logprobs", "env_mask", "judged")
        }
        end = self._inputs.tokenizer.eos_token_id
        for one in self._batch.judged:
            last = one.rollout.sequences[-1] if one.rollout.sequences else None
            # TRL wants a completion of every prompt: an episode without one is a masked token without a reward.
            fields["prompt_ids"].append(last.prompt_ids if last else [end])
            fields["completion_ids"].append(last.completion_ids if last else [end])
            fields["logprobs"].append(last.logprobs if last else [0.0])
            fields["env_mask"].append(last.mask if last else [0])
            fields["judged"].append(one.value if last else None)
        return fields

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        """Write our line when a batch has been learned from."""
        if self._batch is None or logs is None or not state.is_world_process_zero or "train_runtime" in logs:
            return
        for name, ours in _FROM_TRL.items():
            if name in logs and logs[name] == logs[name]:
                self._learned.setdefault(ours, []).append(float(logs[name]))
        if state.global_step % self._cycle:
            return
        learned = {name: sum(values) / len(values) for name, values in self._learned.items()}
        found = figures(self._batch.judged)
        if "kl_token" in learned:
            learned["kl"] = learned["kl_token"] * found["sampled_tokens"]
        seconds = time.perf_counter() - self._started
        times = {
            "seconds": seconds,
            "seconds/episodes": self._batch.seconds,
            "judge_share": self._batch.alone / seconds,
        }
        self._recorder.write(state.global_step // self._cycle, found | learned | times)
        self._batch, self._learned = None, {}

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The checkpoint is on the disk."""
        _mark(Path(args.output_dir), state.global_step)

    def close(self) -> None:
        """Close what the episodes shared."""
        if self._sampler is not None:
            self._sampler.close()
        self._runner.run(self._stack.aclose())
        self._runner.close()

    async def _open(self, model: Any) -> Episodes:
        settings = self._settings
        self._sampler = Sampler(
            model, self._inputs.tokenizer, temperature=settings.temperature, turn_tokens=settings.turn_tokens
        )
        shared = await self._stack.enter_async_context(self._inputs.open_shared())
        return Episodes(self._inputs.settings, shared, self._sampler)


def _order(inputs: Inputs, settings: RLSettings) -> list[str]:
    """The ids of the tasks of all steps, as PPO takes them: TRL's own order is lost when a run is resumed."""
    steps = (tasks_of(inputs.tasks, step, settings.tasks_per_step, settings.seed) for step in range(settings.steps))
    return [task.id for tasks in steps for task in tasks]


def _arguments(settings: RLSettings, out: Path, inputs: Inputs, *, cpu: bool) -> GRPOConfig:
    grpo = settings.grpo
    cycle = grpo.minibatches * grpo.iterations
    micro = max(size for size in range(1, grpo.micro_episodes + 1) if settings.episodes // grpo.minibatches % size == 0)
    return GRPOConfig(
        output_dir=str(out / "checkpoints"),
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=settings.episodes // grpo.minibatches // micro,
        steps_per_generation=settings.episodes // micro,
        num_generations=settings.group,
        num_iterations=grpo.iterations,
        max_steps=settings.steps * cycle,
        learning_rate=settings.lr,
        lr_scheduler_type="constant_with_warmup",
        warmup_steps=settings.warmup * cycle,
        adam_beta2=0.95,
        max_grad_norm=settings.max_grad_norm,
        beta=settings.kl,
        epsilon=grpo.clip,
        loss_type=grpo.loss_type,
        scale_rewards=grpo.scale_rewards,
        temperature=settings.temperature,
        shuffle_dataset=False,
        max_completion_length=inputs.settings.agent.context.tokens,
        disable_dropout=True,
        save_strategy="steps",
        save_steps=settings.save_every * cycle,
        save_total_limit=settings.keep,
        logging_steps=1,
        logging_strategy="steps",
        report_to="none",
        disable_tqdm=True,
        seed=settings.seed,
        use_cpu=cpu,
        bf16=False,
        gradient_checkpointing=False,
    )


def _save(model: Any, tokenizer: Any, folder: Path) -> None:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _mark(checkpoints: Path, step: int) -> None:
    (checkpoints / f"checkpoint-{step}" / _WHOLE).touch()


def _latest(checkpoints: Path) -> Path | None:
    """The newest whole checkpoint; what a crash cut is taken away."""
    found: dict[int, Path] = {}
    for path in checkpoints.glob("checkpoint-*") if checkpoints.is_dir() else ():
        if (path / _WHOLE).exists():
            found[int(path.name.rpartition("-")[2])] = path
        else:
            shutil.rmtree(path)
    return found[max(found)] if found else None
