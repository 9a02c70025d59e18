"""What the commands of `judger-train synth` do. Loaded once one of them is run."""

from __future__ import annotations

import argparse
import asyncio
import datetime
import sys
from pathlib import Path
from typing import Any

from policy.config import load_settings
from policy.errors import ConfigError
from train.lm.faults import check_out, write_settings
from train.synth.build import CAPABILITIES, Plan, build
from train.synth.checker import Checker
from train.synth.clean import clean_rollouts, read_answers
from train.synth.corpus import open_corpus
from train.synth.difficulty import rate_tasks
from train.synth.entities import read_triples, write_pages
from train.synth.extractive import ExtractiveWriter
from train.synth.foldoc import read_foldoc, write_foldoc
from train.synth.opening import alone, open_checker, open_writer, spent
from train.synth.work import Progress
from train.synth.writer import Writer
from train.tasks.funnel import show

__all__ = ["clean", "demo", "difficulty", "entities", "make"]

DEMO = ("subgraphs", "walks", "reading", "verification", "reflection")
"""What a dictionary can give: it has no reports, and the demo no judge."""


def demo(args: argparse.Namespace) -> int:
    """Data from FOLDOC. Raises NoDictionary, ConfigError, InUse."""
    plan, folder = _plan(args), args.out / "foldoc"
    _say(f"{folder}: {write_foldoc(read_foldoc(args.foldoc), folder)} entries of the Free On-line Dictionary (GFDL)")
    return asyncio.run(_run(plan, folder, ExtractiveWriter(), None))


def make(args: argparse.Namespace) -> int:
    """Data from a corpus. Raises ConfigError, Fault, InUse, and what the writer and the judge raise."""
    plan = _plan(args)
    if not args.corpus.exists():
        raise ConfigError(f"{args.corpus}: no folder of documents, and no index")

    async def main() -> int:
        async with open_writer(args) as writer, open_checker(args, _say) as checker:
            return await _run(plan, args.corpus, writer, checker)

    return asyncio.run(main())


def entities(args: argparse.Namespace) -> int:
    """Linked pages of what a corpus defines. Raises ConfigError, InUse, and what the writer raises."""
    if args.concurrency < 1:
        raise ConfigError("--concurrency: must be at least 1")
    if not args.corpus.exists():
        raise ConfigError(f"{args.corpus}: no folder of documents, and no index")

    async def main() -> int:
        async with open_writer(args) as writer:
            with alone(args.out):
                corpus = open_corpus(args.corpus, args.out, _say)
                facts, funnel = await read_triples(corpus, writer, concurrency=args.concurrency, progress=Progress())
                count = write_pages(corpus, facts, args.out / "pages")
                corpus.index.close()
            show([funnel])
            _say(f"{args.out / 'pages'}: {count} pages of {len(facts)} triples (tier {writer.tier}){spent(writer)}")
        return 0 if count else 1

    return asyncio.run(main())


def clean(args: argparse.Namespace) -> int:
    """A dataset from records of rollouts. Raises ConfigError, NothingLeft."""
    if not 0 <= args.recovered <= 1:
        raise ConfigError("--recovered: must lie in [0, 1]")
    answers = read_answers(args.answers) if args.answers is not None else {}
    funnel = clean_rollouts(
        args.records, args.out, answers=answers, least_reward=args.min_reward, recovered=args.recovered, seed=args.seed
    )
    show([funnel])
    return 0


def difficulty(args: argparse.Namespace) -> int:
    """The tasks that a baseline does not solve. Raises ConfigError, InUse, and what the model raises."""
    args.out.mkdir(parents=True, exist_ok=True)
    return asyncio.run(
        rate_tasks(
            args.tasks,
            args.corpus,
            args.out,
            load_settings(args.config) if args.config is not None else None,
            runs=args.runs,
            solved=args.solved,
            seed=args.seed,
            concurrency=args.concurrency,
            say=_say,
        )
    )


def _plan(args: argparse.Namespace) -> Plan:
    faults = [f"--only: there is no {name}; there are {', '.join(CAPABILITIES)}"
              for name in args.only or () if name not in CAPABILITIES]  # fmt: skip
    faults += [f"--{name}: must be at least 1" for name in ("count", "concurrency") if getattr(args, name) < 1]
    try:
        date = args.date or datetime.date.today().isoformat()
        datetime.date.fromisoformat(date)
    except ValueError as error:
        faults.append(f"--date: {error}")
    if args.out.exists() and not args.out.is_dir():
        faults.append(f"--out: {args.out} is a file")
    if faults:
        raise ConfigError("\n".join(faults))
    is_judged = getattr(args, "addr", None) or getattr(args, "builtin_judge", False)
    if "tasks" in (args.only or ()) and not is_judged:
        raise ConfigError("--only tasks: needs a judge (--addr or --builtin-judge), which is a gate of the synthesis")
    if not args.only and args.act == "demo":
        args.only = DEMO
    return Plan(
        out=args.out, count=args.count, only=tuple(args.only or CAPABILITIES), seed=args.seed,
        concurrency=args.concurrency, date=date,
    )  # fmt: skip


async def _run(plan: Plan, path: Path, writer: Writer, checker: Checker | None) -> int:
    settings: dict[str, Any] = {"corpus": str(path), "writer": writer.name, "seed": plan.seed,
                                "judge_id": checker.judge_id if checker else ""}  # fmt: skip
    check_out(plan.out, settings)
    with alone(plan.out):
        corpus = open_corpus(path, plan.out, _say)
        write_settings(plan.out, settings)
        funnels, counts = await build(plan, corpus, writer, checker, progress=Progress(), say=_say)
        corpus.index.close()
    show([funnel for funnel in funnels if funnel.total])
    if idle := [funnel.name for funnel in funnels if not funnel.total]:
        _say(f"nothing to begin with in this corpus (too few links or definitions): {', '.join(idle)}")
    _say(f"{plan.out}: " + ", ".join(f"{count} in {name}" for name, count in counts.items()))
    _say(f"writer: {writer.name} (tier {writer.tier})" + spent(writer))
    return 0 if any(counts.values()) else 1


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
