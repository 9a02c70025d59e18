"""`judger-train tasks` from end to end: world, tasks, the expert's trajectories, datasets, funnel."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from judger.client import Client
from judger.version import __version__
from policy.config import load_settings
from policy.trajectory import append
from train.expert.capabilities import stage_one
from train.expert.clean import clean, rules
from train.expert.datasets import chat_row, save_rows
from train.expert.drills import make_drills, run_drills
from train.expert.episodes import attempt_tasks
from train.expert.model import draw_habits
from train.tasks.draft import Card, deal
from train.tasks.funnel import Funnel
from train.tasks.synthesis import AGREEMENT, Sample, synthesise
from train.tasks.writer import Writer
from train.world.documents import write_documents
from train.world.folder import write_settings, write_world
from train.world.generate import generate
from train.world.size import FULL, Size

__all__ = ["Plan", "build"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much of everything."""

    out: Path
    seed: int = 0
    size: Size = FULL
    entities: int = 96
    """Structures in each world; people and towns come with them."""
    tasks: int = 96
    """Cards dealt in the folder's own world, before the filters."""
    trajectories: int = 600
    """The expert's attempts in all worlds, before cleaning."""
    attempts: int = 2
    """Attempts at one task."""
    texts: int = 1800
    """Of mid-training stage I."""
    drills: int = 600
    """Short episodes of mid-training stage II, before they are joined."""
    agreement: float = AGREEMENT
    """Least agreement of summary, query and rubric, as the judge sees it."""
    worlds: int = 6
    """Worlds that the datasets draw on, the folder's own among them: a policy should copy facts, not learn them."""


async def build(
    plan: Plan, writer: Writer[Card], judge: Client, *, say: Callable[[str], None] = lambda _: None
) -> list[Funnel]:
    """Write the folder. Returns the funnels, which are in `funnel.json` too.

    Raises NothingLeft where the filters leave no row of a dataset, and what the judge's client raises.
    """
    judge_id = (await judge.get_judge()).judge_id
    provenance = {"writer": writer.name, "judge_id": judge_id, "version": __version__}
    tasks, trajectories = Funnel("tasks"), Funnel("trajectories")
    cleaned: list[dict[str, Any]] = []
    texts: list[dict[str, Any]] = []
    chats: list[dict[str, Any]] = []
    records = plan.out / "trajectories.jsonl"
    records.unlink(missing_ok=True)
    for number in range(plan.worlds):
        own = number == 0
        seed = plan.seed if own else plan.seed * 1000 + number
        folder = plan.out / "world" if own else plan.out / "worlds" / str(number)
        settings_file = plan.out / "settings.toml" if own else folder / "settings.toml"
        world = generate(seed, structures=plan.entities, size=plan.size)
        documents = write_documents(world)
        write_world(world, documents, folder)
        write_settings(folder, settings_file, plan.size)
        settings = load_settings(settings_file)
        origin = {"world_seed": seed, **provenance}

        tried = _share(plan.trajectories, plan.worlds, number) // plan.attempts
        cards = deal(world, max(plan.tasks, tried) if own else tried, label="task")
        samples = await synthesise(cards, writer, judge, tasks, agreement=plan.agreement)
        if own:
            _write_tasks(samples[: plan.tasks], plan.out / "tasks.jsonl", origin)
        say(f"world {seed}: {len(world.entities)} things, {len(samples)} of {len(cards)} tasks kept")

        wanted = [(sample.card, sample.query) for sample in samples[:tried]]
        attempts = await attempt_tasks(
            wanted,
            documents,
            settings,
            folder / "work",
            attempts=plan.attempts,
            habits=partial(draw_habits, rough=plan.size.plain),
        )
        kept = clean(attempts, trajectories, order=rules(), seed=seed)
        for attempt in kept:
            append(records, attempt.record)
        cleaned += [chat_row(attempt, {"source": "expert", **origin}) for attempt in kept]
        say(f"world {seed}: {len(kept)} of {len(attempts)} trajectories kept")

        texts += [
            {**row, **origin} for row in stage_one(world, documents, _share(plan.texts, plan.worlds, number), seed)
        ]
        drills = make_drills(world, documents, _share(plan.drills, plan.worlds, number), seed)
        rows = await run_drills(drills, settings, folder / "work", seed=seed)
        chats += [{**row, "source": "drill", **origin} for row in rows]
    save_rows(cleaned, plan.out / "sft")
    save_rows(texts, plan.out / "midtrain" / "stage1")
    save_rows(chats, plan.out / "midtrain" / "stage2")
    funnels = [tasks, trajectories]
    counts = {funnel.name: funnel.as_dict() for funnel in funnels}
    (plan.out / "funnel.json").write_text(json.dumps({**counts, "seed": plan.seed, **provenance}, indent=1) + "\n")
    return funnels


def as_case(sample: Sample[Card], **provenance: Any) -> dict[str, Any]:
    """The line of a task file: a case without its report."""
    draft = sample.draft
    meta = {
        "summary": draft.summary,
        "subjects": [subject.id for subject in sample.card.subjects],
        "aspects": [item.aspect for item in draft.items],
        "reasons": [assessment.reason for assessment in sample.assessments],
        "agreement": round(sample.agreement, 4),
        "judge_id": sample.judge_id,
        **provenance,
    }
    return {"id": sample.card.id, "query": sample.query, "criteria": draft.rows(), "meta": meta}


def _write_tasks(samples: list[Sample[Card]], path: Path, origin: dict[str, Any]) -> None:
    lines = (json.dumps(as_case(sample, **origin), ensure_ascii=False) for sample in samples)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _share(whole: int, parts: int, number: int) -> int:
    """The share of part `number` where `whole` is dealt out evenly."""
    return whole // parts + (number < whole % parts)
