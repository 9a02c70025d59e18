"""`judger-train judge --engine torch`: from cases, a causal model and a teacher to a judge that can be served.

    0 fence     the key of the reports' fences              OUT/fence.key
    1 teacher   a strong model writes score and reason     OUT/teacher.jsonl
    2 sft       on the served prompts, both tiers           OUT/sft
    3 rl        GRPO with verifiable rewards                OUT/rl
    4 measure   agreement, before and after                 OUT/figures.json
    5 files     the model as `judger serve` loads it        OUT

The method is the Step-DeepResearch report's (arXiv 2512.20491, section 4.3.2). Interrupted, it goes on where it was:
give the same command. OUT belongs to one recipe: other settings want another folder.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from judger.engines.base import SelfBatching
from judger.engines.find import check_model
from judger.engines.tokens import Prompter
from judger.prompt.fence import FenceKey, open_fence_key
from judger.types import Case
from train.judge.data import DataError
from train.judge.generative import rl, sft
from train.judge.generative.data import Sample, Sampler, balanced, read_cases, settle, split, with_flaws
from train.judge.generative.measure import measure
from train.judge.generative.settings import Settings, as_json
from train.judge.generative.teacher import lessons, read_rows, teach

VERDICT_SHARE = 4
"""One prompt in so many of the RL stage is of the verdict tier, which is served most and must not be forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One run's inputs."""

    model: str
    data: Path
    out: Path
    settings: Settings
    teacher: Callable[[FenceKey], SelfBatching] | None = None
    """Made with the run's own fence key, which is part of who it is: a second run must find its answers."""
    disagreeing: Literal["drop", "keep"] = "drop"


def run(recipe: Recipe) -> dict[str, Any]:
    """The whole recipe; the figures that also go into `figures.json`.

    Raises DataError and judger's InvalidFile for what can't be trained on, EngineError for a model or teacher that
    can't be used.
    """
    out, settings = recipe.out, recipe.settings
    train_cases, held = split(read_cases(recipe.data / "train"), settings.seed)
    claim(out, recipe)
    fence = open_fence_key(out / "fence.key")
    if recipe.teacher is not None:
        asyncio.run(teach_all(train_cases, recipe.teacher(fence), out / "teacher.jsonl"))
    taught, counts = lessons(read_rows(out / "teacher.jsonl"), disagreeing=recipe.disagreeing)
    cases = with_flaws(settle(train_cases, taught), settings.flaws, settings.seed)

    def drawn(samples: Iterable[Sample]) -> list[Sample]:
        return balanced(list(samples), settings.seed, source_power=settings.source_power)

    sampler = make_sampler(recipe.model, settings, fence)
    model: str | Path = recipe.model
    figures: dict[str, Any] = {"teacher": counts}
    if settings.sft_steps:
        tiers = list(sampler.verdicts(cases)), list(sampler.explained(cases, taught))
        figures["sft"] = {"samples": dict(Counter(sample.tier for samples in tiers for sample in samples))}
        model = stage(out / "sft", lambda folder: fit_sft(recipe.model, tiers, folder, settings))
        if (found := out / "sft" / "sizes.json").exists():
            figures["sft"] |= json.loads(found.read_text(encoding="utf-8"))
        figures["sft"] |= ends(out / "sft", ("loss", "mean_token_accuracy"))
    if settings.rl_steps:
        before = model
        verdicts = [sample for at, sample in enumerate(drawn(sampler.verdicts(cases))) if at % VERDICT_SHARE == 0]
        questions = [*drawn(sampler.questions(cases)), *verdicts]
        words = sampler.prompter.labels.words
        model = stage(out / "rl", lambda folder: rl.fit(before, questions, words, folder, settings))
        figures["rl"] = ends(out / "rl", [f"rewards/{name}/mean" for name in rl.WEIGHTS])
    figures["too_long"] = sampler.num_too_long

    tested = {f"held out: {name}": found for name, found in held.items()}
    if (recipe.data / "eval").is_dir():
        tested |= read_cases(recipe.data / "eval")
    figures["agreement"] = {
        name: measure(found, tested, device=settings.device, fence=fence)
        for name, found in (("before", recipe.model), ("after", model))
    }
    if model != recipe.model:
        shutil.copytree(model, out, dirs_exist_ok=True)
    (out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return figures


def fit_sft(model: str, tiers: Sequence[Sequence[Sample]], folder: Path, settings: Settings) -> list[Mapping[str, Any]]:
    """The SFT stage on rows that share a prefix, or prompt by prompt; each tier is balanced by itself."""
    power = settings.source_power
    if settings.lone_prompts:
        drawn = [one for samples in tiers for one in balanced(samples, settings.seed, source_power=power)]
        return sft.fit(model, drawn, folder, settings)
    from train.judge.generative import shared

    weighed = [one for samples in tiers for one in shared.weighted(samples, source_power=power)]
    found = shared.sizes(weighed, shared.rows_of(weighed, most_tokens=settings.row_tokens))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sizes.json").write_text(json.dumps(found) + "\n", encoding="utf-8")
    return shared.fit(model, weighed, folder, settings)


async def teach_all(cases: Sequence[Case], teacher: SelfBatching, path: Path) -> None:
    """The teacher's stage on an event loop of its own."""
    try:
        await teach(cases, teacher, path)
    finally:
        await asyncio.to_thread(teacher.close)


def claim(out: Path, recipe: Recipe) -> None:
    """Notes the recipe in `out/recipe.json`. Raises DataError where another one is there already."""
    out.mkdir(parents=True, exist_ok=True)
    about = {"model": recipe.model, "disagreeing": recipe.disagreeing, "settings": as_json(recipe.settings)}
    path = out / "recipe.json"
    if path.exists() and json.loads(path.read_text(encoding="utf-8")) != about:
        raise DataError(f"{out} holds a run with other settings ({path}): use another folder")
    path.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def make_sampler(model: str, settings: Settings, fence: FenceKey) -> Sampler:
    """The sampler for a model's tokenizer and limit.

    Raises EngineError without label tokens, DataError for a model that can't be read or has no end-of-turn token, and
    InvalidRequest for what is no model.
    """
    from transformers import AutoConfig, AutoTokenizer

    check_model(model)
    try:
        tokenizer = AutoTokenizer.from_pretrained(model, trust_remote_code=False)
        config = AutoConfig.from_pretrained(model, trust_remote_code=False).get_text_config()
    except (OSError, ValueError) as error:
        raise DataError(f"{model}: can't be loaded: {error}") from None
    limits = [limit for limit in (settings.max_tokens, getattr(config, "max_position_embeddings", 0)) if limit]
    prompter = Prompter(tokenizer, name=model, fence=fence)
    if prompter.end is None:
        raise DataError(f"{model}: neither its chat template nor its tokenizer has an end-of-turn token")
    return Sampler(prompter, end=prompter.end, max_tokens=min(limits, default=0))


def stage(folder: Path, fit: Any) -> Path:
    """The model of a training stage, which is run only where its log is not there yet."""
    log = folder / "log.json"
    if not log.exists():
        records = fit(folder)
        log.write_text(json.dumps(records) + "\n", encoding="utf-8")
    return folder / "model"


def ends(folder: Path, names: Sequence[str]) -> dict[str, dict[str, float]]:
    """Of each figure in a stage's log the mean over its first tenth and over its last."""
    records: list[Mapping[str, float]] = json.loads((folder / "log.json").read_text(encoding="utf-8"))
    found = {}
    for name in names:
        # TRL logs a reward that no completion of a step had as null.
        values = [record[name] for record in records if record.get(name) is not None]
        if values:
            tenth = max(1, len(values) // 10)
            found[name] = {"first": sum(values[:tenth]) / tenth, "last": sum(values[-tenth:]) / tenth}
    return found
