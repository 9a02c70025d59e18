"""GRPO by TRL's trainer, on the same episodes and rewards as PPO: its rollout hook is all that is ours.

Shao et al. 2024 (arXiv 2402.03300). A prompt of the data set is the id of a task; an episode whose history was
compacted is learned from in its last sequence, since TRL takes one completion a prompt.
"""

from __future__ import annotations

import warnings
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

from accelerate import PartialState
from trl import GRPOConfig, GRPOTrainer

from judger.errors import JudgerError
from policy.errors import ConfigError
from train.precision import compute_dtype, is_mixed, own_dtype, save
from train.rl.checkpoint import write_folder
from train.rl.collect import tasks_of
from train.rl.config import RLSettings
from train.rl.grpo.checkpoints import latest, mark
from train.rl.grpo.hook import Hook, judged_reward
from train.rl.parallel import PATIENCE, check_launch, check_writer, deal_weights, is_sharded, whole_state
from train.rl.record import Recorder
from train.rl.reward import Rewards
from train.rl.setup import Inputs, load_model, write_reference
from train.rl.stop import Stop

__all__ = ["arguments_of", "make_trainer", "train_grpo"]


def train_grpo(inputs: Inputs, settings: RLSettings, out: Path, rewards: Rewards, *, cpu: bool = False) -> Path:
    """Train, or go on with, the run in `out`; the folder of the trained model. Raises as `train_ppo` does."""
    patience = PATIENCE + timedelta(seconds=rewards.wait)
    processes = PartialState(cpu=cpu, timeout=patience)
    check_launch(processes)
    check_writer(settings, processes.num_processes)
    arguments = arguments_of(settings, out, inputs, processes.num_processes, patience, cpu=cpu)
    reference = out / "reference"
    with processes.main_process_first():
        found = latest(out / "checkpoints", clean=processes.is_main_process)
        if processes.is_main_process and not reference.exists():
            write_reference(inputs, reference)
    cycle = settings.grpo.minibatches * settings.grpo.iterations
    done = int(found.name.rpartition("-")[2]) // cycle if found else 0
    if done >= settings.steps and (out / "model").is_dir():
        return out / "model"
    with ExitStack() as stack:
        recorder = None
        if processes.is_main_process:
            recorder = stack.enter_context(Recorder(out, step=done, steps=settings.steps))
            rewards.say = recorder.say
        hook = Hook(inputs, settings, rewards, recorder, out, cpu=cpu)
        trainer = make_trainer(
            load_model(str(reference), attention=settings.attention), inputs, settings, arguments, hook
        )
        check_launch(trainer.accelerator)  # which alone knows of FSDP
        if trainer.ref_model is not None:
            if is_sharded(trainer.accelerator):
                # TRL 1.16 shards its reference, but leaves it without weights where only the first process reads them.
                deal_weights(trainer.ref_model, load_model(str(reference)) if processes.is_main_process else None)
            else:
                trainer.ref_model.to(compute_dtype(settings.precision, cpu=cpu))
        try:
            if done < settings.steps:
                trainer.train(resume_from_checkpoint=str(found) if found else None)
        except (JudgerError, Stop):
            if trainer.state.global_step:
                trainer._save_checkpoint(trainer.model, trial=None)
                mark(Path(trainer.args.output_dir), trainer.state.global_step)
            raise
        finally:
            hook.close()
        model = trainer.accelerator.unwrap_model(trainer.model)
        if done >= settings.steps and found:
            model = load_model(str(found))
            state = model.state_dict()
        else:
            state = whole_state(trainer.model, trainer.accelerator)
        if processes.is_main_process:
            dtype = own_dtype(str(reference))
            write_folder(out / "model", lambda folder: save(model, inputs.tokenizer, folder, dtype=dtype, state=state))
        processes.wait_for_everyone()
    return out / "model"


def make_trainer(model: Any, inputs: Inputs, settings: RLSettings, arguments: GRPOConfig, hook: Any) -> GRPOTrainer:
    """TRL's trainer of a float32 model, whose episodes and rewards are those of `hook` (a callback with `rollout`)."""
    from datasets import Dataset

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*'rollout_func'.*experimental")
        return GRPOTrainer(
            model=model,
            reward_funcs=[judged_reward],
            args=arguments,
            train_dataset=Dataset.from_list([{"prompt": name} for name in _order(inputs, settings)]),
            processing_class=inputs.tokenizer,
            rollout_func=hook.rollout,
            callbacks=[hook],
        )


def _order(inputs: Inputs, settings: RLSettings) -> list[str]:
    """The ids of the tasks of all steps, as PPO takes them: TRL's own order is lost when a run is resumed."""
    steps = (tasks_of(inputs.tasks, step, settings.tasks_per_step, settings.seed) for step in range(settings.steps))
    return [task.id for tasks in steps for task in tasks]


def arguments_of(
    settings: RLSettings, out: Path, inputs: Inputs, processes: int, patience: timedelta, *, cpu: bool
) -> GRPOConfig:
    """What TRL's trainer is told. Raises ConfigError where the batch can't be dealt out."""
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
