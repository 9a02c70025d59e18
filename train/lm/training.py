"""What mid-training and fine-tuning share: options, TRL's trainer set up for token ids, checkpoints, TensorBoard."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from train.lm.faults import Fault
from train.precision import Precision, compute_dtype, is_mixed, load, save, without_dropout
from train.presets import NAMES, fitting, preset

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase
    from trl import SFTTrainer

__all__ = [
    "Options",
    "add_options",
    "last_checkpoint",
    "load_to_train",
    "make_trainer",
    "measured_before",
    "options_of",
    "preset_of",
    "save_adapter",
    "save_trained",
    "summary_writer",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a stage is trained. A step is `batch * accumulate` rows of each process, packed or not."""

    steps: int
    batch: int = 1
    accumulate: int = 1
    learning_rate: float
    warmup: float = 0.05
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    save_every: int = 100
    log_every: int = 10
    device: str = "auto"
    precision: Precision = "auto"
    attention: str = "sdpa"
    gradient_checkpointing: bool = False
    seed: int = 0


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that both stages have."""
    group = parser.add_argument_group("training", "Defaults are those of the preset: train/configs/presets.")
    group.add_argument(
        "--preset", choices=NAMES,
        help="whose defaults (default: by the model's size: tiny up to 0.1 billion parameters, 7b up to 20 billion)",
    )  # fmt: skip
    group.add_argument("--steps", type=int, help="optimizer updates")
    group.add_argument("--batch", type=int, help="rows in a forward pass of a process")
    group.add_argument("--accumulate", type=int, help="forward passes in a step")
    group.add_argument("--learning-rate", type=float, help="at its highest")
    group.add_argument("--warmup", type=float, help="share of the steps; a cosine follows")
    group.add_argument("--weight-decay", type=float)
    group.add_argument("--max-grad-norm", type=float)
    group.add_argument("--save-every", type=int, help="steps between checkpoints")
    group.add_argument("--log-every", type=int, help="steps between log lines")
    group.add_argument("--device", choices=["auto", "cpu"], help="auto: a GPU if there is one")
    group.add_argument(
        "--precision", choices=["auto", "float32", "bfloat16"],
        help="of the passes; weights that are learned are float32 (auto: bfloat16 on a GPU that computes in it)",
    )  # fmt: skip
    group.add_argument(
        "--attention", metavar="NAME",
        help="sdpa, or flash_attention_2 where flash-attn is installed: packed rows cost what their parts do there",
    )  # fmt: skip
    group.add_argument(
        "--gradient-checkpointing", action=argparse.BooleanOptionalAction, help="less memory, a third more time"
    )
    group.add_argument("--seed", type=int)


def preset_of(arguments: argparse.Namespace, *stage: str) -> dict[str, Any]:
    """The defaults of a stage: of the preset that is named, or that fits the model."""
    from train.lm.faults import check_model_there

    name = arguments.preset
    if name is None and arguments.model is None:
        name = "tiny"
    elif name is None:
        check_model_there(arguments.model)
        name = fitting(arguments.model)
        print(f"preset {name}, by the size of {arguments.model}", flush=True)
    return preset(name, *stage)


def options_of(arguments: argparse.Namespace, defaults: Mapping[str, Any]) -> Options:
    """The options as they were given, else as in `defaults`, which may hold other keys too."""
    known = Options.__dataclass_fields__
    given = {name: getattr(arguments, name) for name in known if getattr(arguments, name) is not None}
    return Options(**{name: value for name, value in defaults.items() if name in known} | given)


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


def load_to_train(model: str, options: Options, *, config: Any = None, frozen: bool = False) -> Any:
    """The model in float32, or where its own weights are `frozen` (under adapters) in the precision of the passes."""
    dtype = compute_dtype(options.precision, cpu=options.device == "cpu") if frozen else None
    try:
        return load(model, dtype=dtype, attention=options.attention, config=config)
    except ImportError as error:  # an attention that is not installed
        raise Fault(f"--attention {options.attention}: {str(error).splitlines()[0]}") from error


def save_trained(trainer: SFTTrainer, out: Path, dtype: str) -> None:
    """Write the whole model in the precision `dtype`, out of its shards where it has some. All processes take part.

    Checkpoints may stay sharded (each process writes its part, and no host needs room for all of it); the model at the
    end is one that `from_pretrained` reads.
    """
    state = trainer.accelerator.get_state_dict(trainer.deepspeed or trainer.model)
    if trainer.is_world_process_zero():
        model = trainer.accelerator.unwrap_model(trainer.model)
        save(model, trainer.processing_class, out, dtype=dtype, state=state)
    trainer.accelerator.wait_for_everyone()


def save_adapter(trainer: SFTTrainer, out: Path) -> None:
    """Write the adapters that were trained, for peft. All processes take part."""
    state = trainer.accelerator.get_state_dict(trainer.deepspeed or trainer.model)
    if trainer.is_world_process_zero():
        trainer.accelerator.unwrap_model(trainer.model).save_pretrained(out, state_dict=state)
        trainer.processing_class.save_pretrained(out)
    trainer.accelerator.wait_for_everyone()


def measured_before(trainer: SFTTrainer, out: Path, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `measure` finds of the model as training begins: the same dict, filled in then, or out of a file where the
    run has begun before. Under FSDP a model can be run from then on only."""
    from transformers import TrainerCallback

    path = out / "before.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}

    class _Begin(TrainerCallback):
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            if not found:
                found.update(measure())
                if trainer.is_world_process_zero():
                    part = path.with_name(".before.json.part")
                    part.write_text(json.dumps(found), encoding="utf-8")
                    part.replace(path)

    trainer.add_callback(_Begin())
    return found


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

    without_dropout(model)

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
        bf16=is_mixed(options.precision, cpu=options.device == "cpu"),
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
