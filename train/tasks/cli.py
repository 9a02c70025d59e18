"""`judger-train tasks`: a world, tasks with rubrics, and the data to train on. Importing this loads nothing heavy."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from train.access import JudgeAccess, add_access_flags

if TYPE_CHECKING:
    from train.tasks.build import Plan
    from train.tasks.draft import Card
    from train.tasks.writer import Writer

_AMOUNTS = {
    "entities": (96, "structures in each world"),
    "tasks": (96, "tasks to write for the folder's own world, before the filters"),
    "trajectories": (600, "attempts by the expert, before cleaning"),
    "texts": (1800, "texts of mid-training stage I"),
    "drills": (600, "short episodes of mid-training stage II"),
    "worlds": (6, "worlds that the datasets draw on, the folder's own among them"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="where everything goes")
    parser.add_argument("--seed", type=int, default=0, help="another seed is another world (default: 0)")
    parser.add_argument(
        "--size", choices=("full", "small"), default="full",
        help="small: few facts, short documents and episodes, for a model of a few hundred thousand parameters",
    )  # fmt: skip
    for name, (default, text) in _AMOUNTS.items():
        parser.add_argument(f"--{name}", type=int, default=default, metavar="N", help=f"{text} (default: {default})")
    add_access_flags(parser, required=False, help_="the judge of consistency (default: the built-in one)")
    parser.add_argument("--patience", type=float, default=120.0, metavar="S", help="how long to wait for it")
    parser.add_argument(
        "--agreement", type=float, default=0.6, metavar="X",
        help="least agreement of summary, query and rubric, by that judge, in [0, 1] (default: 0.6)",
    )  # fmt: skip
    parser.add_argument("--writer", choices=("templates", "openai"), default="templates", help="who writes the tasks")
    parser.add_argument("--model", metavar="NAME", help="with --writer openai: the chat model")
    parser.add_argument("--base-url", metavar="URL", help="with --writer openai: its endpoint")


def run(args: argparse.Namespace) -> int:
    """Makes the data. 0 when done; 1 where filters left nothing; 2 for wrong usage; 3 where judge or writer is away."""
    faults = _faults(args)
    for fault in faults:
        print(fault, file=sys.stderr)
    if faults:
        return 2
    from judger.errors import JudgerError
    from policy.errors import ModelAway
    from train.expert.datasets import NothingLeft
    from train.tasks.build import Plan
    from train.tasks.judging import JudgeDown
    from train.world.size import SIZES

    amounts = {name: getattr(args, name) for name in _AMOUNTS}
    try:
        asyncio.run(
            _make(Plan(out=args.out, seed=args.seed, size=SIZES[args.size], agreement=args.agreement, **amounts), args)
        )
    except NothingLeft as error:
        print(error, file=sys.stderr)
        return 1
    except (JudgeDown, JudgerError, ModelAway) as error:
        print(error, file=sys.stderr)
        return 3
    return 0


def _faults(args: argparse.Namespace) -> list[str]:
    """What is wrong with the usage, a line each."""
    from policy.errors import ConfigError
    from train.world.size import SIZES

    most = SIZES[args.size].most

    faults = [f"--{name}: must be at least 1" for name in _AMOUNTS if getattr(args, name) < 1]
    if not faults and not 2 <= args.entities <= most:
        faults.append(f"--entities: there can be from 2 to {most}, not {args.entities}")
    if not faults and args.trajectories < 2 * args.worlds:
        faults.append(f"--trajectories: must be at least {2 * args.worlds}, two for each of {args.worlds} worlds")
    if not 0 <= args.agreement <= 1:
        faults.append("--agreement: must lie in [0, 1]")
    if args.patience <= 0:
        faults.append("--patience: must be above 0 seconds")
    try:
        if (access := JudgeAccess.asked(args)) is not None:
            access.connect()  # nothing is sent yet
    except ConfigError as error:
        faults += str(error).splitlines()
    if args.writer == "openai" and not args.model:
        faults.append("--model: the chat model's name is missing")
    if args.writer != "openai" and (args.model or args.base_url):
        faults.append("--model, --base-url: only with --writer openai")
    if args.out.exists() and not args.out.is_dir():
        faults.append(f"--out: {args.out} is a file")
    return faults


async def _make(plan: Plan, args: argparse.Namespace) -> None:
    from train.tasks.build import build
    from train.tasks.funnel import show
    from train.tasks.judging import open_judge

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    async with (
        _writer(args) as writer,
        open_judge(JudgeAccess.asked(args), patience=args.patience, say=say) as judge,
    ):
        funnels = await build(plan, writer, judge, say=say)
    show(funnels)


@asynccontextmanager
async def _writer(args: argparse.Namespace) -> AsyncIterator[Writer[Card]]:
    if args.writer == "templates":
        from train.tasks.templates import TemplateWriter

        yield TemplateWriter()
        return
    from policy.config import ModelConfig
    from policy.models import open_model
    from train.tasks.chat import ChatWriter

    config = ModelConfig(name=args.model, base_url=args.base_url)
    writer = ChatWriter(open_model(config, api_key=os.environ.get(config.api_key_env)))
    try:
        yield writer
    finally:
        await writer.aclose()
