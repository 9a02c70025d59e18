"""Stage two: supervised fine-tuning on the served prompts, loss on the answers' tokens alone (TRL's SFTTrainer)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from train.judge.data import DataError
from train.judge.generative.data import Sample
from train.judge.generative.settings import Settings, callbacks, common, load, lora, save, train


def rows(samples: Sequence[Sample]) -> list[dict[str, list[int]]]:
    """Samples as SFTTrainer takes them ready-made: ids, and which of them are the answer."""
    return [
        {
            "input_ids": [*sample.prompt, *sample.answer],
            "completion_mask": [0] * len(sample.prompt) + [1] * len(sample.answer),
        }
        for sample in samples
    ]


def fit(model: str | Path, samples: Sequence[Sample], out: Path, settings: Settings) -> list[Mapping[str, Any]]:
    """Trains `model` and writes it to `out/model`; the log. Goes on from a checkpoint in `out`. Raises DataError."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    if not samples:
        raise DataError("there is nothing to learn from: no labelled criterion, and no teacher")
    weights, tokenizer = load(model, settings)
    trainer = SFTTrainer(
        model=weights,
        processing_class=tokenizer,
        train_dataset=Dataset.from_list(rows(samples)),
        peft_config=lora(settings),
        args=SFTConfig(
            **common(settings, out),
            max_steps=settings.sft_steps,
            num_train_epochs=settings.epochs,
            learning_rate=settings.learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=0.05,
            per_device_train_batch_size=settings.micro_batch,
            gradient_accumulation_steps=settings.batch // settings.micro_batch,
            completion_only_loss=True,
            max_length=None,  # nothing is ever cut: what is too long was left out and counted
            packing=False,
        ),
        callbacks=callbacks(out.parent / "runs" / "sft"),
    )
    log = train(trainer, out)
    save(trainer, model, out / "model")
    return log
