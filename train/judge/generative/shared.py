"""Stage two on rows that share a prefix: a report is read once a step, not once a criterion.

A row is a report's prompt up to where its criteria part, and a branch for each sample: the rest of its prompt and its
answer. A branch attends to the prefix and to itself, so it is the served prompt still, token by token and position by
position. The loss is on the answers' tokens alone, as in `train.judge.generative.sft`. Two deviations from that: labels
and sources are balanced by weight, not by drawing, since a drawn sample's copy would be the same branch again; and
logits are computed where there is an answer alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import Trainer, TrainingArguments

from judger.engines.packed import ATTENTION, Seen, register
from train.judge.data import DataError, balancing_weights
from train.judge.generative.data import Sample
from train.judge.generative.settings import Settings, callbacks, common, load, lora, save, train
from train.judge.packed import Lesson

__all__ = ["fit", "inputs_of", "rows_of", "sizes", "weighted"]


def weighted(samples: Sequence[Sample], *, source_power: float) -> list[tuple[Sample, float]]:
    """Samples with `train.judge.data.balancing_weights`, mean 1."""
    return list(zip(samples, balancing_weights(samples, source_power=source_power), strict=True))


def rows_of(samples: Iterable[tuple[Sample, float]], *, most_tokens: int) -> list[Lesson]:
    """A row for each prefix, or several where its branches would make one longer than `most_tokens`.

    Nothing is cut: a sample that is longer alone has a row alone.
    """
    open_rows: dict[tuple[int, ...], Lesson] = {}
    rows: list[Lesson] = []
    for sample, weight in samples:
        prefix, rest = sample.prompt[: sample.shared], sample.prompt[sample.shared :]
        branch = [*rest, *sample.answer]
        row = open_rows.get(prefix)
        if row is None or len(row.ids) + len(branch) > most_tokens:
            row = open_rows[prefix] = Lesson(list(prefix), len(prefix), [], [])
            rows.append(row)
        begin = len(row.ids)
        row.ids += branch
        row.branches.append((begin, len(row.ids)))
        row.which.append(len(sample.answer))
        row.weights.append(weight)
    return rows


def sizes(samples: Sequence[tuple[Sample, float]], rows: Sequence[Lesson]) -> dict[str, int]:
    """Rows, their tokens, and the tokens of the same prompts one by one."""
    alone = sum(len(sample.prompt) + len(sample.answer) for sample, _ in samples)
    return {"rows": len(rows), "tokens": sum(len(row.ids) for row in rows), "tokens_alone": alone}


def inputs_of(row: Lesson) -> dict[str, Any]:
    """What the model is called with, and what it should have said.

    ids, positions (1, T); seen (T - prefix, T); places (n,) before each token of an answer; targets, weights (n,).
    """
    places = [at for (_, end), count in zip(row.branches, row.which, strict=True) for at in range(end - count, end)]
    weights = [w for w, count in zip(row.weights, row.which, strict=True) for _ in range(count)]
    ids = torch.tensor([row.ids])
    return {
        "ids": ids,
        "positions": row.positions[None],
        "prefix": row.prefix,
        "seen": row.mask,
        "places": torch.tensor(places) - 1,
        "targets": ids[0, places],
        "weights": torch.tensor(weights),
    }


def logits_of(model: Any, inputs: Mapping[str, Any]) -> Tensor:
    """(n, vocabulary) before each token of an answer."""
    found: Tensor = model(
        input_ids=inputs["ids"],
        position_ids=inputs["positions"],
        seen=Seen(inputs["prefix"], inputs["seen"]),
        logits_to_keep=inputs["places"],
        use_cache=False,
    ).logits[0]
    return found.float()


class _RowTrainer(Trainer):  # type: ignore[misc]
    """A row at a time. `scale`: what a row's loss is divided by, the mean weight of one: all tokens count alike."""

    def __init__(self, scale: float, **others: Any) -> None:
        super().__init__(**others)
        self.model_accepts_loss_kwargs = False  # rows are accumulated as a mean
        self._scale = scale
        self._right: list[float] = []

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        logits = logits_of(model, inputs)
        self._right += (logits.argmax(-1) == inputs["targets"]).float().tolist()
        each = F.cross_entropy(logits, inputs["targets"], reduction="none")
        loss = (each * inputs["weights"]).sum() / self._scale
        return (loss, logits) if return_outputs else loss

    def log(self, logs: dict[str, float], *others: Any, **more: Any) -> None:
        if "loss" in logs and self._right:
            logs["mean_token_accuracy"] = sum(self._right) / len(self._right)
            self._right.clear()
        super().log(logs, *others, **more)


def fit(
    model: str | Path, samples: Sequence[tuple[Sample, float]], out: Path, settings: Settings
) -> list[Mapping[str, Any]]:
    """Trains `model` and writes it to `out/model`; the log. Goes on from a checkpoint in `out`.

    Raises DataError where there is nothing to learn from, or the model's attention is more than plain.
    """
    if not samples:
        raise DataError("there is nothing to learn from: no labelled criterion, and no teacher")
    rows = rows_of(samples, most_tokens=settings.row_tokens)
    register()
    weights, tokenizer = load(model, settings, attention=ATTENTION)
    _try(weights, rows[0], model)
    if settings.lora_rank:
        from peft import get_peft_model

        weights.enable_input_require_grads()  # for checkpointing: the embeddings themselves are not trained
        weights = get_peft_model(weights, lora(settings))
    trainer = _RowTrainer(
        scale=sum(w * count for row in rows for w, count in zip(row.weights, row.which, strict=True)) / len(rows),
        model=weights,
        processing_class=tokenizer,
        train_dataset=rows,
        data_collator=lambda batch: inputs_of(*batch),
        args=TrainingArguments(
            **common(settings, out),
            max_steps=settings.sft_steps,
            num_train_epochs=settings.epochs,
            learning_rate=settings.learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=0.05,
            per_device_train_batch_size=1,
            gradient_accumulation_steps=max(1, round(settings.batch * len(rows) / len(samples))),
            remove_unused_columns=False,
        ),
        callbacks=callbacks(out.parent / "runs" / "sft"),
    )
    log = train(trainer, out)
    trainer.accelerator.unwrap_model(trainer.model).config._attn_implementation = "sdpa"
    save(trainer, model, out / "model")
    return log


@torch.no_grad()
def _try(model: Any, row: Lesson, name: str | Path) -> None:
    """Raises DataError for a model that can't share a prefix."""
    short = Lesson(row.ids[:2] + row.ids[-2:], 2, [(2, 4)], [1], weights=[1.0])
    try:
        logits_of(model, inputs_of(short))
    except (TypeError, ValueError) as error:
        raise DataError(f"{name}: {error}; --lone-prompts trains it, each prompt by itself") from error
