"""`judger-train synth make` from end to end: a corpus, its graph, one capability after the other, the datasets."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from judger.version import __version__
from policy.config import AgentConfig, BudgetConfig, SearchConfig, Settings
from policy.kit import Shared
from train.synth import graph as graphs
from train.synth.checker import Checker
from train.synth.clues import Clues
from train.synth.corpus import IndexCorpus
from train.synth.duplicates import near_duplicates
from train.synth.export import export
from train.synth.planning import Planning
from train.synth.plot import draw_funnels
from train.synth.ports import Capability, Ports
from train.synth.reading import ActiveReading
from train.synth.reflection import Reflection, kept_questions
from train.synth.reports import Reports
from train.synth.rows import Rows
from train.synth.subgraphs import Subgraphs
from train.synth.tasks import Tasks
from train.synth.verification import Verification
from train.synth.walks import Walks
from train.synth.work import Progress, work
from train.synth.writer import Writer
from train.tasks.funnel import Funnel

__all__ = ["CAPABILITIES", "Plan", "build", "make_ports"]

CAPABILITIES = ("subgraphs", "walks", "planning", "reading", "verification", "reports", "reflection", "tasks")
NEAR_DUPLICATE = "near-duplicate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is made, how much of it, and where it goes."""

    out: Path
    count: int = 100
    """Briefs of each capability, before the filters."""
    only: tuple[str, ...] = CAPABILITIES
    seed: int = 0
    concurrency: int = 8
    date: str = ""
    """Today, as the agent is told."""


def make_ports(corpus: IndexCorpus, writer: Writer, plan: Plan, checker: Checker | None = None) -> tuple[Ports, int]:
    """The ports over a corpus, and how many edges come of titles that are named where no link is."""
    graph = graphs.from_links(corpus)
    named = graphs.mentions(corpus, graph) if not graph.number_of_edges() else 0
    shared = Shared.local(corpus.index)
    system = plan.out / "system.txt"
    system.write_text(files("train.synth").joinpath("prompts/system.txt").read_text("utf-8"), "utf-8")
    settings = Settings(
        agent=AgentConfig(
            system_prompt=system,
            tools=("search", "open"),
            date=plan.date,
            budget=BudgetConfig(turns=12, tool_calls=40, seconds=600),
        ),
        search=SearchConfig(dense=False),
    )
    ports = Ports(
        corpus=corpus, graph=graph, provider=shared.provider, writer=writer, checker=checker, shared=shared,
        settings=settings, work=plan.out / "work", seed=plan.seed,
    )  # fmt: skip
    return ports, named


def capabilities(ports: Ports, only: Sequence[str], before: Sequence[Rows]) -> Iterator[Capability]:
    """Those that are asked for, in their order; what begins with questions takes those made `before`."""
    clues = Clues(ports)
    made: dict[str, Callable[[], Capability]] = {
        "subgraphs": lambda: Subgraphs(ports, clues),
        "walks": lambda: Walks(ports, clues),
        "planning": lambda: Planning(ports),
        "reading": lambda: ActiveReading(ports, clues),
        "verification": lambda: Verification(ports, clues),
        "reports": lambda: Reports(ports),
        "reflection": lambda: Reflection(ports, kept_questions(before)),
        "tasks": lambda: Tasks(ports, clues),
    }
    for name in CAPABILITIES:
        if name in only and (name != "tasks" or ports.checker is not None):
            yield made[name]()


async def build(
    plan: Plan,
    corpus: IndexCorpus,
    writer: Writer,
    checker: Checker | None = None,
    *,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[list[Funnel], Mapping[str, int]]:
    """Make what is missing in `plan.out`, and write datasets and funnels anew from all of it."""
    ports, named = make_ports(corpus, writer, plan, checker)
    graph = ports.graph
    say(
        f"{corpus.name}: {len(graph)} documents, {graph.number_of_edges()} edges"
        + (f" ({named} of them titles that another document names)" if named else "")
        + f", {len(graphs.seeds(graph))} seeds of degree {graphs.SEED[0]} to {graphs.SEED[1]}"
    )
    provenance: dict[str, Any] = {
        "corpus": corpus.name, "corpus_digest": corpus.index.digest(), "writer": writer.name, "tier": writer.tier,
        "judge_id": checker.judge_id if checker is not None else "", "seed": plan.seed, "version": __version__,
        "date": plan.date,
    }  # fmt: skip
    every: list[Rows] = []
    for capability in capabilities(ports, plan.only, every):
        rows = Rows(plan.out / "rows", capability.name, capability.filters, provenance)
        await work(capability, rows, plan.count, concurrency=plan.concurrency, progress=progress)
        every.append(rows)
    kept: list[dict[str, Any]] = []
    for rows in every:
        rows.funnel.expect(NEAR_DUPLICATE)
        near = near_duplicates((row["id"], _said(row)) for row in rows)
        for identity, other in near.items():
            rows.funnel.drop(NEAR_DUPLICATE, f"{identity} of {other}")
        kept += [row for row in rows if row["id"] not in near]
    counts = export(kept, plan.out)
    funnels = [rows.funnel for rows in every]
    written = {funnel.name: funnel.as_dict() for funnel in funnels}
    (plan.out / "funnel.json").write_text(
        json.dumps({"funnels": written, "rows": counts, **provenance}, indent=1, ensure_ascii=False) + "\n", "utf-8"
    )
    draw_funnels(funnels, plan.out / "funnel.png")
    return funnels, counts


def _said(row: Mapping[str, Any]) -> str:
    """What must not be said twice: the task where there is one, else the text or the conversation."""
    if row.get("task"):
        return str(row["task"]["query"])
    return str(row.get("text") or "\n".join(message["content"] or "" for message in row["messages"][1:]))
