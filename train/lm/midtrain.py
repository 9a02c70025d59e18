"""`judger-train midtrain`: continued pre-training on packed text, top to bottom.

    stage 1   plain text, short context
    stage 2   with tool calls, longer context; the rotary embedding is extended by YaRN

Step-DeepResearch, arXiv 2512.20491, section 3.1-3.2 (32K without, then 128K with tool calls). Deviations: sizes and
lengths are options; the mixture is a weight by kind of text. Loss by position and the retrieval probe are measured on
held-out text before and after, and for a small model with random weights too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from train.lm.faults import check_out, finished, load_rows, load_tokenizer, write_settings
from train.lm.rows import mix, passage, split, text_ids, texts
from train.lm.training import (
    Options,
    last_checkpoint,
    load_to_train,
    make_trainer,
    measured_before,
    save_trained,
    summary_writer,
)
from train.precision import own_dtype

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from train.lm.probes import Probe
    from train.lm.tiny import TinySizes

__all__ = ["midtrain", "train_tiny_tokenizer"]

_TEXT = (frozenset({"text"}), frozenset({"messages", "tools"}))
_SHARED = "midtrain"
_PROBE_ROWS = 500
_SMALL = 100_000_000
"""Parameters up to which a model of random weights is measured too: every process holds one whole, for a moment."""


def midtrain(
    data: Path,
    out: Path,
    *,
    stage: int,
    model: str | None,
    tiny: TinySizes | None,
    context: int,
    options: Options,
    weights: Mapping[str, float] = {},
    probes: int = 40,
    measured_rows: int = 200,
    held_out: float = 0.02,
) -> dict[str, Any]:
    """Train one stage and write the model and `figures.json` to `out`; the figures.

    `data` is the folder of the whole pipeline. One of `model` (a folder or hub name) and `tiny` is given. Raises Fault
    before a model is loaded where the data, the model's tokenizer or the options cannot be used. No more than
    `measured_rows` held-out rows are measured, by all processes together; 0 for no measuring at all.
    """
    from train.lm.probes import FACTS, make_probes

    settings = {"stage": stage, "data": str(data), "model": model, "tiny": asdict(tiny) if tiny else None,
                "context": context, "options": asdict(options), "mix": dict(weights), "held_out": held_out,
                "measured_rows": measured_rows}  # fmt: skip
    check_out(out, settings)
    if (figures := finished(out)) is not None:
        return figures
    rows = load_rows(data / _SHARED / f"stage{stage}", columns=_TEXT)
    mixed, counts = mix(rows, weights, options.seed)
    tokenizer = train_tiny_tokenizer(data, tiny) if tiny else load_tokenizer(str(model), markers=False)
    train, kept = split(mixed, held_out, options.seed)

    coded = train.map(lambda row: {"input_ids": text_ids(tokenizer, row)}, remove_columns=train.column_names)
    held = [text_ids(tokenizer, row) for row in kept.select(range(min(len(kept), measured_rows)))]
    write_settings(out, settings)

    network, short = _model(model, tiny, tokenizer, context, options)
    lengths = sorted({short, context}) if measured_rows else []
    sentences = [passage(row) for row in mixed.select(range(min(len(mixed), _PROBE_ROWS)))]
    plan = {n: make_probes(tokenizer, sentences, context=n, count=probes, seed=options.seed) for n in lengths}
    figures: dict[str, Any] = {
        "stage": stage, "context": context, "rows": len(coded), "kinds": counts,
        "tokens": sum(map(len, coded["input_ids"])), "parameters": network.num_parameters(),
        "probes": {str(n): len(found) for n, found in plan.items()}, "chance": 1 / FACTS,
    }  # fmt: skip
    dtype = "float32" if model is None else own_dtype(model)
    writer = summary_writer(out)
    trainer = make_trainer(network, tokenizer, coded, None, out, options, context=context, packing=True, writer=writer)

    def measure(network: Any = None) -> dict[str, Any]:
        return _measure(network or trainer.model, held, plan, context, trainer.accelerator)

    if measured_rows:
        if figures["parameters"] <= _SMALL:
            figures["random"] = measure(_random_like(network, options.seed + 1).to(trainer.args.device))
        figures["before"] = measured_before(trainer, out, measure)
    trainer.train(resume_from_checkpoint=last_checkpoint(out, options.steps))
    if measured_rows:
        figures["after"] = measure()
    save_trained(trainer, out, dtype)
    if trainer.is_world_process_zero():
        if measured_rows:
            _log(writer, figures)
        (out / "figures.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    writer.close()
    return figures


def train_tiny_tokenizer(data: Path, tiny: TinySizes) -> Any:
    """Trained on all text of the pipeline, so that every stage's words and marks are in it."""
    from train.lm.tokenizer import chat_template, train_tokenizer

    folders = [data / _SHARED / "stage1", data / _SHARED / "stage2", data / "sft"]
    rows = [load_rows(folder, columns=_TEXT) for folder in folders if folder.is_dir()]
    return train_tokenizer((text for part in rows for text in texts(part, chat_template())), vocab_size=tiny.vocab)


def _model(
    model: str | None, tiny: TinySizes | None, tokenizer: Any, context: int, options: Options
) -> tuple[PreTrainedModel, int]:
    """(the model for `context` positions, the positions it had)."""
    if tiny is not None:
        from train.lm.tiny import make_model

        return make_model(tokenizer, replace(tiny, context=context), seed=options.seed), context
    from transformers import AutoConfig

    from train.lm.rope import extend

    config = AutoConfig.from_pretrained(model)
    short = config.get_text_config().max_position_embeddings
    return load_to_train(str(model), options, config=extend(config, context)), min(short, context)


def _random_like(model: PreTrainedModel, seed: int) -> PreTrainedModel:
    """A model of the same shape that has learned nothing."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return AutoModelForCausalLM.from_config(model.config, dtype=torch.float32)


def _measure(
    model: Any, held: Sequence[Sequence[int]], plan: Mapping[int, Sequence[Probe]], context: int, among: Any
) -> dict[str, Any]:
    """Losses and probes of a model as it stands, by all processes together; its mode is put back."""
    from train.lm.probes import loss_by_position, retrieval_accuracy

    was_training = model.training
    model.eval()
    measured = {
        "loss": loss_by_position(model, held, context=context, among=among),
        "retrieval": {str(length): retrieval_accuracy(model, found, among=among) for length, found in plan.items()},
    }
    model.train(was_training)
    return measured


def _log(writer: Any, figures: dict[str, Any]) -> None:
    for when, x in (("before", 0), ("after", 1)):
        for row in figures[when]["loss"]:
            writer.add_scalar(f"loss_by_position/{when}", row["loss"], row["to"])
        for length, found in figures[when]["retrieval"].items():
            for name, value in found.items():
                writer.add_scalar(f"retrieval_{length}/{name}", value, x)
