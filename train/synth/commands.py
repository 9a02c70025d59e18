"""What the commands of `judger-train synth` do. Loaded once one of them is run."""

from __future__ import annotations

import argparse
import asyncio
import datetime
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from policy.config import ModelConfig, load_settings
from policy.errors import ConfigError
from policy.models import open_model
from train.access import JudgeAccess
from train.lm.faults import check_out, write_settings
from train.synth.build import CAPABILITIES, Plan, build
from train.synth.chat import ChatWriter
from train.synth.checker import Checker
from train.synth.clean import clean_rollouts, read_answers
from train.synth.corpus import open_corpus
from train.synth.difficulty import rate_tasks
from train.synth.entities import read_triples, write_pages
from train.synth.extractive import ExtractiveWriter
from train.synth.foldoc import read_foldoc, write_foldoc
from train.synth.work import Progress
from train.synth.writer import Writer
from train.tasks.funnel import show
from train.tasks.judging import open_judge

__all__ = ["clean", "demo", "difficulty", "entities", "make"]

DEMO = ("subgraphs", "walks", "reading", "verification", "reflection")
"""What a dictionary can give: it has no reports, and the demo no judge."""


def demo(args: argparse.Namespace) -> int:
    plan, folder = _plan(args), args.out / "foldoc"
    _say(f"{folder}: {write_foldoc(read_foldoc(args.foldoc), folder)} entries of the Free On-line Dictionary (GFDL)")
    return asyncio.run(_run(plan, folder, ExtractiveWriter(), None))


def make(args: argparse.Namespace) -> int:
    plan = _plan(args)
    if not args.corpus.exists():
        raise ConfigError(f"{args.corpus}: no folder of documents, and no index")

    async def main() -> int:
        async with _writer(args) as writer, _checker(args) as checker:
            return await _run(plan, args.corpus, writer, checker)

    return asyncio.run(main())


def entities(args: argparse.Namespace) -> int:
    if args.concurrency < 1:
        raise ConfigError("--concurrency: must be at least 1")
    if not args.corpus.exists():
        raise ConfigError(f"{args.corpus}: no folder of documents, and no index")

    async def main() -> int:
        corpus = open_corpus(args.corpus, args.out, _say)
        async with _writer(args) as writer:
            facts, funnel = await read_triples(corpus, writer, concurrency=args.concurrency, progress=Progress())
            count = write_pages(corpus, facts, args.out / "pages")
            show([funnel])
            _say(f"{args.out / 'pages'}: {count} pages of {len(facts)} triples (tier {writer.tier}){_spent(writer)}")
        corpus.index.close()
        return 0 if count else 1

    return asyncio.run(main())


def clean(args: argparse.Namespace) -> int:
    if not 0 <= args.recovered <= 1:
        raise ConfigError("--recovered: must lie in [0, 1]")
    answers = read_answers(args.answers) if args.answers is not None else {}
    funnel = clean_rollouts(
        args.records, args.out, answers=answers, least_reward=args.min_reward, recovered=args.recovered, seed=args.seed
    )
    show([funnel])
    return 0


def difficulty(args: argparse.Namespace) -> int:
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
    plan.out.mkdir(parents=True, exist_ok=True)
    corpus = open_corpus(path, plan.out, _say)
    write_settings(plan.out, settings)
    funnels, counts = await build(plan, corpus, writer, checker, progress=Progress(), say=_say)
    corpus.index.close()
    show([funnel for funnel in funnels if funnel.total])
    if idle := [funnel.name for funnel in funnels if not funnel.total]:
        _say(f"nothing to begin with in this corpus (too few links or definitions): {', '.join(idle)}")
    _say(f"{plan.out}: " + ", ".join(f"{count} in {name}" for name, count in counts.items()))
    _say(f"writer: {writer.name} (tier {writer.tier})" + _spent(writer))
    return 0 if any(counts.values()) else 1


def _spent(writer: Writer) -> str:
    if not isinstance(writer, ChatWriter):
        return ""
    model = writer.model
    tokens = f", {model.calls} calls, {model.prompt_tokens:,} tokens read, {model.completion_tokens:,} written"
    return f"{tokens}, {writer.from_cache} replies from the cache" + (
        f", cost {writer.cost:.2f}" if writer.cost else ""
    )


@asynccontextmanager
async def _writer(args: argparse.Namespace) -> AsyncIterator[Writer]:
    if args.writer == "extractive":
        if args.model or args.base_url:
            raise ConfigError("--model, --base-url: not with the extractive writer")
        yield ExtractiveWriter()
        return
    if not args.model:
        raise ConfigError("--model: the writer's model is missing")
    config = ModelConfig(
        backend=args.writer, name=args.model, base_url=args.base_url, input_price=args.prices[0],
        output_price=args.prices[1],
    )  # fmt: skip
    model = open_model(config, api_key=os.environ.get(config.api_key_env))
    writer = ChatWriter(model, config, args.out / "cache", max_tokens=args.max_tokens)
    try:
        yield writer
    finally:
        await writer.aclose()


@asynccontextmanager
async def _checker(args: argparse.Namespace) -> AsyncIterator[Checker | None]:
    """The judge that is asked for; None where none is."""
    if not args.addr and not args.builtin_judge:
        yield None
        return
    async with open_judge(JudgeAccess.of(args) if args.addr else None, say=_say) as client:
        yield Checker(client, (await client.get_judge()).judge_id)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
