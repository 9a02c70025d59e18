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
from contextlib import AsyncExitStack, ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import DistributedType
from transformers import TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from judger.errors import JudgerError
from policy.errors import ConfigError
from train.precision import compute_dtype, is_mixed, own_dtype, save
from train.rl.batch import Experience, logprobs_and_entropy, passed, sampled_logprobs
from train.rl.checkpoint import write_folder
from train.rl.collect import Batch, collect_shared, figures, orders_of, tasks_of
from train.rl.config import RLSettings
from train.rl.episodes import Episodes, seed_of
from train.rl.gap import check_gap, gap_of
from train.rl.parallel import PATIENCE, deal_weights, is_sharded, refresh, sampler_of, whole_state
from train.rl.record import Recorder
from train.rl.reward import JudgeLost, Rewards
from train.rl.sampler import Sampler
from train.rl.setup import Inputs, load_model, write_reference
from train.rl.stop import Stop
from train.rl.watch import Guard
from train.rl.writer import Writer

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

    patience = PATIENCE + timedelta(seconds=rewards.wait)
    processes = PartialState(cpu=cpu, timeout=patience)
    if processes.distributed_type == DistributedType.DEEPSPEED:
        raise ConfigError("judger-train rl: DeepSpeed is not supported; launch it with FSDP2 or DDP")
    arguments = _arguments(settings, out, inputs, processes.num_processes, patience, cpu=cpu)
    reference = out / "reference"
    with processes.main_process_first():
        latest = _latest(out / "checkpoints", clean=processes.is_main_process)
        if processes.is_main_process and not reference.exists():
            write_reference(inputs, reference)
    cycle = settings.grpo.minibatches * settings.grpo.iterations
    done = int(latest.name.rpartition("-")[2]) // cycle if latest else 0
    if done >= settings.steps and (out / "model").is_dir():
        return out / "model"
    with ExitStack() as stack:
        recorder = None
        if processes.is_main_process:
            recorder = stack.enter_context(Recorder(out, step=done, steps=settings.steps))
            rewards.say = recorder.say
        hook = _Hook(inputs, settings, rewards, recorder, out, cpu=cpu)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*'rollout_func'.*experimental")
            trainer = GRPOTrainer(
                model=load_model(str(reference), attention=settings.attention),
                reward_funcs=[judged_reward],
                args=arguments,
                train_dataset=Dataset.from_list([{"prompt": name} for name in _order(inputs, settings)]),
                processing_class=inputs.tokenizer,
                rollout_func=hook.rollout,
                callbacks=[hook],
            )
        if trainer.ref_model is not None:
            if is_sharded(trainer.accelerator):
                # TRL 1.16 shards its reference, but leaves it without weights where only the first process reads them.
                deal_weights(trainer.ref_model, load_model(str(reference)) if processes.is_main_process else None)
            else:
                trainer.ref_model.to(compute_dtype(settings.precision, cpu=cpu))
        try:
            if done < settings.steps:
                trainer.train(resume_from_checkpoint=str(latest) if latest else None)
        except (JudgeLost, JudgerError, Stop):
            if trainer.state.global_step:
                trainer._save_checkpoint(trainer.model, trial=None)
                _mark(Path(trainer.args.output_dir), trainer.state.global_step)
            raise
        finally:
            hook.close()
        model = trainer.accelerator.unwrap_model(trainer.model)
        if done >= settings.steps and latest:
            model = load_model(str(latest))
            state = model.state_dict()
        else:
            state = whole_state(trainer.model, trainer.accelerator)
        if processes.is_main_process:
            dtype = own_dtype(str(reference))
            write_folder(out / "model", lambda folder: _save(model, inputs.tokenizer, folder, state, dtype))
        processes.wait_for_everyone()
    return out / "model"


def judged_reward(prompts: Sequence[str], judged: Sequence[float | None], **_: Any) -> list[float | None]:
    """The rewards that came with the rollouts; TRL drops an episode whose reward is None."""
    return list(judged)


class _Hook(TrainerCallback):
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
        seconds = time.perf_counter() - self._started
        times = {
            "seconds": seconds,
            "seconds/episodes": max(batch.seconds for batch in self._batches),
            "judge_share": max(batch.alone for batch in self._batches) / seconds,
        }
        self._recorder.write(state.global_step // self._cycle, found | learned | times)
        self._batches, self._learned = (), {}

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The checkpoint is on the disk."""
        _mark(Path(args.output_dir), state.global_step)

    def close(self) -> None:
        """Close what the episodes shared."""
        if self._sampler is not None:
            self._sampler.close()
        self._runner.run(self._stack.aclose())
        self._runner.close()

    async def _open(self, sampler: Sampler) -> Episodes:
        shared = await self._stack.enter_async_context(self._inputs.open_shared())
        return Episodes(self._inputs.settings, shared, sampler)


def _order(inputs: Inputs, settings: RLSettings) -> list[str]:
    """The ids of the tasks of all steps, as PPO takes them: TRL's own order is lost when a run is resumed."""
    steps = (tasks_of(inputs.tasks, step, settings.tasks_per_step, settings.seed) for step in range(settings.steps))
    return [task.id for tasks in steps for task in tasks]


def _arguments(
    settings: RLSettings, out: Path, inputs: Inputs, processes: int, patience: timedelta, *, cpu: bool
) -> GRPOConfig:
    grpo = settings.grpo
    cycle = grpo.minibatches * grpo.iterations
    if settings.tasks_per_step % processes or settings.episodes // processes % grpo.minibatches:
        raise ConfigError(
            f"settings: tasks_per_step must be a multiple of the {processes} processes, "
            "and grpo.minibatches divide each one's episodes"
        )
    own = settings.episodes // processes  # of each process
    micro = max(size for size in range(1, grpo.micro_episodes + 1) if own // grpo.minibatches % size == 0)
    return GRPOConfig(
        output_dir=str(out / "checkpoints"),
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=own // grpo.minibatches // micro,
        steps_per_generation=own // micro,
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
        bf16=is_mixed(settings.precision, cpu=cpu),
        gradient_checkpointing=settings.gradient_checkpointing,
        ddp_timeout=round(patience.total_seconds()),
    )


def _save(model: Any, tokenizer: Any, folder: Path, state: dict[str, Any], dtype: str) -> None:
    save(model, folder, dtype=dtype, state=state)
    tokenizer.save_pretrained(folder)


def _mark(checkpoints: Path, step: int) -> None:
    (checkpoints / f"checkpoint-{step}" / _WHOLE).touch()


def _latest(checkpoints: Path, *, clean: bool) -> Path | None:
    """The newest whole checkpoint; what a crash cut is taken away, where `clean` says so."""
    found: dict[int, Path] = {}
    for path in checkpoints.glob("checkpoint-*") if checkpoints.is_dir() else ():
        if (path / _WHOLE).exists():
            found[int(path.name.rpartition("-")[2])] = path
        elif clean:
            shutil.rmtree(path)
    return found[max(found)] if found else None
