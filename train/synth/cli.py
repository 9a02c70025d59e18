"""`judger-train synth`: data from one's own corpus. Importing this loads nothing heavy."""

from __future__ import annotations

import argparse
import asyncio
import datetime
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from train.synth.build import Plan
    from train.synth.checker import Checker
    from train.synth.writer import Writer

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own commands."""
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    demo = commands.add_parser("demo", help="tiers 1 and 2 on FOLDOC, in minutes (Debian's dict-foldoc)")
    demo.add_argument("-o", "--out", type=Path, default=Path("runs/synth-demo"), metavar="DIR")
    demo.add_argument("--foldoc", type=Path, default=Path("/usr/share/dictd"), metavar="DIR", help="where it is")
    make = commands.add_parser("make", help="make data from a folder of documents, or from an index of one")
    make.add_argument("corpus", type=Path, metavar="CORPUS", help="a folder, or what `judger-agent index` made of one")
    make.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="goes on where it stopped")
    make.add_argument("--writer", choices=("extractive", "openai", "transformers"), default="extractive")
    make.add_argument("--model", metavar="NAME", help="of the writer: an endpoint's name for it, or a model folder")
    make.add_argument("--base-url", metavar="URL", help="with --writer openai: its endpoint")
    make.add_argument("--prices", type=float, nargs=2, default=(0.0, 0.0), metavar=("IN", "OUT"),
                      help="of a million tokens, to be told what was spent")  # fmt: skip
    make.add_argument("--judge", metavar="HOST:PORT", help="check with this judge; `builtin` starts the built-in one")
    for command, count in ((demo, 60), (make, 100)):
        command.add_argument("--only", action="append", metavar="NAME", help="this capability; several times")
        command.add_argument("--count", type=int, default=count, metavar="N", help=f"of each (default: {count})")
        command.add_argument("--seed", type=int, default=0, metavar="N")
        command.add_argument("--concurrency", type=int, default=8, metavar="N", help="at once (default: 8)")
        command.add_argument("--date", default="", metavar="YYYY-MM-DD", help="what the agent takes for today")
    clean = commands.add_parser("clean", help="clean records of `judger-agent rollouts` for fine-tuning")
    clean.add_argument("records", type=Path, nargs="+", metavar="RECORDS.jsonl")
    clean.add_argument("-o", "--out", type=Path, required=True, metavar="DIR")
    clean.add_argument(
        "--answers", type=Path, metavar="TASKS.jsonl", help='tasks with an "answer" the report has to end in'
    )
    clean.add_argument("--min-reward", type=float, metavar="X", help="least reward by the judge")
    clean.add_argument("--recovered", type=float, default=0.15, metavar="X",
                       help="share of tasks that keep a mended tool error (default: 0.15)")  # fmt: skip
    clean.add_argument("--seed", type=int, default=0, metavar="N")
    clean.set_defaults(act=_clean)
    demo.set_defaults(act=_demo)
    make.set_defaults(act=_make)


def run(args: argparse.Namespace) -> int:
    """0 when done; 1 where nothing is left; 2 for wrong usage or data; 3 where writer or judge can't be reached."""
    from judger.errors import JudgerError
    from policy.errors import ConfigError, ModelAway
    from train.expert.datasets import NothingLeft
    from train.lm.faults import Fault
    from train.synth.foldoc import NoDictionary
    from train.tasks.judging import JudgeDown

    try:
        code: int = args.act(args)
    except (ConfigError, Fault, NoDictionary) as error:
        print(error, file=sys.stderr)
        return 2
    except NothingLeft as error:
        print(error, file=sys.stderr)
        return 1
    except BaseExceptionGroup as group:  # of the workers; the first fault is told
        lost = group.subgroup((ModelAway, JudgerError))
        if lost is None:
            raise
        print(f"{_first(lost)}; the same command goes on from here", file=sys.stderr)
        return 3
    except (JudgeDown, JudgerError) as error:
        print(error, file=sys.stderr)
        return 3
    return code


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _demo(args: argparse.Namespace) -> int:
    from train.synth.extractive import ExtractiveWriter
    from train.synth.foldoc import read_foldoc, write_foldoc

    folder = args.out / "foldoc"
    _say(f"{folder}: {write_foldoc(read_foldoc(args.foldoc), folder)} entries of the Free On-line Dictionary (GFDL)")
    return asyncio.run(_run(_plan(args), folder, ExtractiveWriter(), None))


def _make(args: argparse.Namespace) -> int:
    async def main() -> int:
        async with _writer(args) as writer, _checker(args.judge) as checker:
            return await _run(_plan(args), args.corpus, writer, checker)

    return asyncio.run(main())


def _clean(args: argparse.Namespace) -> int:
    from policy.errors import ConfigError
    from train.synth.clean import clean_rollouts, read_answers
    from train.tasks.funnel import show

    if not 0 <= args.recovered <= 1:
        raise ConfigError("--recovered: must lie in [0, 1]")
    answers = read_answers(args.answers) if args.answers is not None else {}
    funnel = clean_rollouts(
        args.records, args.out, answers=answers, least_reward=args.min_reward, recovered=args.recovered, seed=args.seed
    )
    show([funnel])
    return 0


def _plan(args: argparse.Namespace) -> Plan:
    from policy.errors import ConfigError
    from train.synth.build import CAPABILITIES, Plan

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
    return Plan(
        out=args.out, count=args.count, only=tuple(args.only or CAPABILITIES), seed=args.seed,
        concurrency=args.concurrency, date=date,
    )  # fmt: skip


async def _run(plan: Plan, path: Path, writer: Writer, checker: Checker | None) -> int:
    from train.lm.faults import check_out, write_settings
    from train.synth.build import build
    from train.synth.corpus import open_corpus
    from train.synth.work import Progress
    from train.tasks.funnel import show

    settings: dict[str, Any] = {"corpus": str(path), "writer": writer.name, "seed": plan.seed,
                                "judge_id": checker.judge_id if checker else ""}  # fmt: skip
    check_out(plan.out, settings)
    plan.out.mkdir(parents=True, exist_ok=True)
    corpus = open_corpus(path, plan.out, _say)
    write_settings(plan.out, settings)
    funnels, counts = await build(plan, corpus, writer, checker, progress=Progress(), say=_say)
    corpus.index.close()
    show(funnels)
    _say(f"{plan.out}: " + ", ".join(f"{count} in {name}" for name, count in counts.items()))
    _say(f"writer: {writer.name} (tier {writer.tier})" + _spent(writer))
    return 0 if any(counts.values()) else 1


def _spent(writer: Writer) -> str:
    from train.synth.chat import ChatWriter

    if not isinstance(writer, ChatWriter):
        return ""
    model = writer.model
    tokens = f", {model.calls} calls, {model.prompt_tokens:,} tokens read, {model.completion_tokens:,} written"
    return f"{tokens}, {writer.from_cache} replies from the cache" + (
        f", cost {writer.cost:.2f}" if writer.cost else ""
    )


@asynccontextmanager
async def _writer(args: argparse.Namespace) -> AsyncIterator[Writer]:
    from policy.config import ModelConfig
    from policy.errors import ConfigError
    from policy.models import open_model
    from train.synth.chat import ChatWriter
    from train.synth.extractive import ExtractiveWriter

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
    writer = ChatWriter(model, config, args.out / "cache")
    try:
        yield writer
    finally:
        await writer.aclose()


@asynccontextmanager
async def _checker(address: str | None) -> AsyncIterator[Checker | None]:
    from train.synth.checker import Checker
    from train.tasks.judging import open_judge

    if address is None:
        yield None
        return
    async with open_judge(None if address == "builtin" else address, say=_say) as client:
        yield Checker(client, (await client.get_judge()).judge_id)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
