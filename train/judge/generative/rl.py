"""Stage three: reinforcement learning with verifiable rewards on the served prompts (TRL's GRPOTrainer).

Two deviations from the trainer as it comes. Prompts go in as token ids, so that the trained prompt is the served one:
as text, a report that spells a special token would become one. And advantages are divided by the batch's standard
deviation, not the group's, which would weigh a criterion higher the more sure the judge already is of it (Liu and
others 2025, arXiv 2503.20783, section 3.1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from judger.prompt import LabelWords
from train.judge.data import DataError
from train.judge.generative.data import Sample
from train.judge.generative.rewards import WEIGHTS, rewards
from train.judge.generative.settings import Settings, callbacks, common, load, lora, save, train


def fit(
    model: str | Path, samples: Sequence[Sample], words: LabelWords, out: Path, settings: Settings
) -> list[Mapping[str, Any]]:
    """Trains `model` and writes it to `out/model`; the log. Goes on from a checkpoint in `out`. Raises DataError.

    The samples' answers are not looked at. In the log every reward has its own mean, `rewards/NAME/mean`.
    """
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    class IdsTrainer(GRPOTrainer):  # type: ignore[misc]
        """Takes prompts that are token ids already."""

        def _tokenize_prompts(self, prompts: list[list[int]]) -> tuple[list[list[int]], None, dict[str, Any]]:
            return prompts, None, {}

    if not samples:
        raise DataError("there is nothing to reward: no labelled criterion")
    weights, tokenizer = load(model, settings)
    trainer = IdsTrainer(
        model=weights,
        processing_class=tokenizer,
        reward_funcs=rewards(words),
        train_dataset=Dataset.from_list(
            [{"prompt": list(s.prompt), "tier": s.tier, "label": s.label, "report": s.report} for s in samples]
        ),
        peft_config=lora(settings),
        args=GRPOConfig(
            **common(settings, out),
            max_steps=settings.rl_steps,
            learning_rate=settings.rl_learning_rate,
            lr_scheduler_type="constant_with_warmup",
            warmup_steps=0.05,
            per_device_train_batch_size=settings.generations,
            gradient_accumulation_steps=settings.prompts_per_step,
            num_generations=settings.generations,
            max_completion_length=settings.reason_tokens,
            temperature=settings.temperature,
            reward_weights=list(WEIGHTS.values()),
            scale_rewards="batch",
            beta=0.0,
        ),
        callbacks=callbacks(out.parent / "runs" / "rl"),
    )
    log = train(trainer, out)
    save(trainer, model, out / "model")
    return log
