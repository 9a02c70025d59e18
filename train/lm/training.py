"""What mid-training and fine-tuning share: options, TRL's trainer set up for token ids, checkpoints, TensorBoard."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase
    from trl import SFTTrainer

__all__ = ["Options", "add_options", "last_checkpoint", "make_trainer", "options_of", "summary_writer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a stage is trained. A step is `batch * accumulate` rows of each process, packed or not."""

    steps: int = 300
    batch: int = 1
    accumulate: int = 4
    learning_rate: float = 3e-3
    warmup: float = 0.05
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    save_every: int = 100
    log_every: int = 10
    device: str = "auto"
    dtype: str = "float32"
    gradient_checkpointing: bool = False
    seed: int = 0


def add_options(parser: argparse.ArgumentParser, defaults: Options) -> None:
    """The options that both stages have."""
    group = parser.add_argument_group("training")
    group.add_argument("--steps", type=int, default=defaults.steps, help="optimizer updates")
    group.add_argument("--batch", type=int, default=defaults.batch, help="rows in a forward pass of a process")
    group.add_argument("--accumulate", type=int, default=defaults.accumulate, help="forward passes in a step")
    group.add_argument("--learning-rate", type=float, default=defaults.learning_rate, help="at its highest")
    group.add_argument("--warmup", type=float, default=defaults.warmup, help="share of the steps; a cosine follows")
    group.add_argument("--weight-decay", type=float, default=defaults.weight_decay)
    group.add_argument("--max-grad-norm", type=float, default=defaults.max_grad_norm)
    group.add_argument("--save-every", type=int, default=defaults.save_every, help="steps between checkpoints")
    group.add_argument("--log-every", type=int, default=defaults.log_every, help="steps between log lines")
    group.add_argument("--device", choices=["auto", "cpu"], default=defaults.device, help="auto: a GPU if there is one")
    group.add_argument("--dtype", choices=["float32", "bfloat16"], default=defaults.dtype)
    group.add_argument("--gradient-checkpointing", action="store_true", help="less memory, a third more time")
    group.add_argument("--seed", type=int, default=defaults.seed)


def options_of(arguments: argparse.Namespace) -> Options:
    """The options as they were given."""
    return Options(**{name: getattr(arguments, name) for name in Options.__dataclass_fields__})


def last_checkpoint(out: Path, steps: int) -> str | None:
    """The latest checkpoint before step `steps` that was written to its end; the trainer's state is its last file.

    The one of the last step is left out: transformers' Trainer would train a step more from there. The step before it
    is done again, to the same weights.
    """
    found = {int(path.parent.name.split("-")[1]): path.parent
             for path in (out / "checkpoints").glob("checkpoint-*/trainer_state.json")}  # fmt: skip
    before = [step for step in found if step < steps]
    return str(found[max(before)]) if before else None


def summary_writer(out: Path) -> Any:
    """TensorBoard's writer of this run: `tensorboard --logdir OUT/runs`."""
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(out / "runs"))


def make_trainer(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    train: Dataset,
    held_out: Dataset | None,
    out: Path,
    options: Options,
    *,
    context: int,
    packing: bool,
    writer: Any,
    peft_config: Any = None,
) -> SFTTrainer:
    """TRL's trainer on rows of `input_ids`, and `assistant_masks` where only the assistant's tokens are learned.

    Packed rows are filled to `context` tokens, best fit first; a longer one goes on in another row ('bfd_split'), and
    position ids keep rows apart. Without packing rows are padded. Nothing is cut off in either case.
    """
    from transformers.integrations import TensorBoardCallback
    from trl import SFTConfig, SFTTrainer

    config = SFTConfig(
        output_dir=str(out / "checkpoints"),
        max_steps=options.steps,
        per_device_train_batch_size=options.batch,
        per_device_eval_batch_size=options.batch,
        gradient_accumulation_steps=options.accumulate,
        learning_rate=options.learning_rate,
        lr_scheduler_type="cosine_with_min_lr",
        lr_scheduler_kwargs={"min_lr_rate": 0.1},
        warmup_steps=round(options.warmup * options.steps),
        weight_decay=options.weight_decay,
        adam_beta2=0.95,
        max_grad_norm=options.max_grad_norm,
        max_length=context if packing else None,
        packing=packing,
        packing_strategy="bfd_split",
        eval_packing=packing,
        eval_strategy="no",
        save_steps=options.save_every,
        save_total_limit=2,
        logging_steps=options.log_every,
        report_to="none",
        use_cpu=options.device == "cpu",
        bf16=options.dtype == "bfloat16",
        gradient_checkpointing=options.gradient_checkpointing,
        dataloader_pin_memory=False,
        seed=options.seed,
        data_seed=options.seed,
    )
    return SFTTrainer(
        model=model,
        args=config,
        train_dataset=train,
        eval_dataset=held_out,
        processing_class=tokenizer,
        callbacks=[TensorBoardCallback(writer)],
        peft_config=peft_config,
    )
