"""`judger-train sft`: fine-tuning on conversations with tools, loss on the assistant's tokens alone, top to bottom.

Step-DeepResearch, arXiv 2512.20491, section 3.3. Every conversation is learned whole: one that is longer than the
context is refused, or left out and counted where that was asked for, never cut.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from train.lm.faults import Fault, check_out, finished, load_rows, load_tokenizer, write_settings
from train.lm.rows import chat_ids
from train.lm.training import (
    Options,
    last_checkpoint,
    load_to_train,
    make_trainer,
    measured_before,
    save_adapter,
    save_trained,
    summary_writer,
)
from train.precision import load, own_dtype, save

if TYPE_CHECKING:
    from datasets import Dataset
    from trl import SFTTrainer

__all__ = ["Lora", "code", "sft"]

_COLUMNS = (frozenset({"messages", "tools"}),)
_NAMED = 20

Lora = Literal["", "merged", "adapter"]


def sft(
    data: Path,
    out: Path,
    *,
    model: str,
    options: Options,
    context: int | None = None,
    packing: bool = False,
    lora: Lora = "",
    lora_rank: int = 16,
    chat_template: str | None = None,
    eos_token: str | None = None,
    drop_long: bool = False,
    held_out: float = 0.02,
) -> dict[str, Any]:
    """Fine-tune and write the model and `figures.json` to `out`; the figures.

    `data` is the folder of the whole pipeline, whose `sft/` is used, or that dataset itself. `context` is the model's
    own by default. Raises Fault, a line a fault, before the model is loaded where the rows or the template do not do.
    """
    settings = {"data": str(data), "model": model, "context": context, "packing": packing, "lora": lora,
                "lora_rank": lora_rank, "options": asdict(options), "held_out": held_out, "drop_long": drop_long,
                "chat_template": chat_template, "eos_token": eos_token}  # fmt: skip
    check_out(out, settings)
    if (figures := finished(out)) is not None:
        return figures
    folder = data / "sft" if (data / "sft").is_dir() else data
    rows = load_rows(folder, columns=_COLUMNS)
    tokenizer = load_tokenizer(model, markers=True, chat_template=chat_template, eos_token=eos_token)
    context = _context(model, context)
    coded, dropped = code(rows, tokenizer, context=context, drop_long=drop_long, name=str(folder))
    parts = coded.train_test_split(test_size=max(1, round(len(coded) * held_out)), seed=options.seed)
    write_settings(out, settings)

    from transformers import set_seed

    set_seed(options.seed)
    network = load_to_train(model, options, frozen=bool(lora))
    parameters = network.num_parameters()
    writer = summary_writer(out)
    trainer = make_trainer(
        network, tokenizer, parts["train"], parts["test"], out, options,
        context=context, packing=packing, writer=writer, peft_config=_lora(lora, lora_rank),
    )  # fmt: skip
    trained = trainer.model.num_parameters(only_trainable=True)
    before = measured_before(trainer, out, trainer.evaluate)
    trainer.train(resume_from_checkpoint=last_checkpoint(out, options.steps))
    after = trainer.evaluate()
    _write(trainer, out, model, lora)
    learned = sum(map(sum, coded["assistant_masks"]))
    figures = {
        "rows": len(coded), "dropped": dropped, "tokens": sum(map(len, coded["input_ids"])), "learned_tokens": learned,
        "context": context, "parameters": parameters,
        "trained_parameters": trained,
        "before": _of(before), "after": _of(after),
    }  # fmt: skip
    if trainer.is_world_process_zero():
        (out / "figures.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    writer.close()
    return figures


def _write(trainer: SFTTrainer, out: Path, model: str, lora: Lora) -> None:
    """The model in the precision it came in; with `lora` the adapter, or the model with the adapter in it."""
    if not lora:
        save_trained(trainer, out, own_dtype(model))
    elif lora == "adapter":
        save_adapter(trainer, out)
    elif trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
        # The base is in shards: its adapter is put into a whole one, by one process and on the host.
        save_adapter(trainer, out / "adapter")
        if trainer.is_world_process_zero():
            import torch
            from peft import PeftModel

            dtype = own_dtype(model)
            whole = PeftModel.from_pretrained(load(model, dtype=getattr(torch, dtype)), out / "adapter")
            save(whole.merge_and_unload(), trainer.processing_class, out, dtype=dtype)
        trainer.accelerator.wait_for_everyone()
    else:
        trainer.model = trainer.model.merge_and_unload()
        save_trained(trainer, out, own_dtype(model))


def code(
    rows: Dataset, tokenizer: Any, *, context: int, drop_long: bool = False, name: str = "sft"
) -> tuple[Dataset, int]:
    """(rows of `input_ids` and `assistant_masks`, how many were left out). Raises Fault that names the long ones."""
    from datasets import Dataset

    ids, masks, faults = [], [], []
    long = 0
    for number, row in enumerate(rows):
        try:
            tokens, mask = chat_ids(tokenizer, row)
        except Exception as error:  # a template may raise anything of its own
            raise Fault(f"{name}: row {number}{_task(row)}: the chat template cannot render it: {error}") from error
        if len(tokens) > context:
            long += 1
            faults.append(f"{name}: row {number}{_task(row)}: {len(tokens)} tokens, the context is {context}")
        elif not any(mask):
            raise Fault(f"{name}: row {number}{_task(row)}: nothing in it was written by the assistant")
        else:
            ids.append(tokens)
            masks.append(mask)
    if long and not drop_long:
        rest = [f"{name}: and {long - _NAMED} more of {len(rows)} rows"] if long > _NAMED else []
        hint = f"{name}: {long} of {len(rows)} rows are too long: raise --context, or leave them out with --drop-long"
        raise Fault("\n".join([*faults[:_NAMED], *rest, hint]))
    if len(ids) < 2:
        raise Fault(f"{name}: {len(ids)} of {len(rows)} rows fit the context of {context}; two are needed")
    return Dataset.from_dict({"input_ids": ids, "assistant_masks": masks}), long


def _task(row: Any) -> str:
    return f" (task {row['task']})" if row.get("task") else ""


def _context(model: str, context: int | None) -> int:
    from transformers import AutoConfig

    window = int(AutoConfig.from_pretrained(model).get_text_config().max_position_embeddings)
    if context is not None and context > window:
        raise Fault(f"--context {context}: the model takes {window}; mid-training stage 2 extends it")
    return context or window


def _lora(kind: Lora, rank: int) -> Any:
    if not kind:
        return None
    from peft import LoraConfig

    return LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM")


def _of(metrics: dict[str, float]) -> dict[str, float]:
    return {"loss": metrics["eval_loss"], "token_accuracy": metrics["eval_mean_token_accuracy"]}
