"""`judger-train synth`: data from one's own corpus. Importing this loads nothing heavy."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from train.access import add_access_flags

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own commands."""
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    demo = commands.add_parser("demo", help="tiers 1 and 2 on a dictionary, in minutes (Debian's dict-foldoc)")
    demo.add_argument("-o", "--out", type=Path, default=Path("runs/synth-demo"), metavar="DIR")
    demo.add_argument("--foldoc", type=Path, default=Path("/usr/share/dictd"), metavar="DIR", help="where it is")
    make = commands.add_parser("make", help="make data from a folder of documents, or from an index of one")
    make.add_argument("corpus", type=Path, metavar="CORPUS", help="a folder, or what `judger-agent index` made of one")
    make.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="goes on where it stopped")
    make.add_argument("--builtin-judge", action="store_true", help="check with the built-in judge, started for this")
    add_access_flags(make, required=False, help_="check with the judge that runs there")
    pages = commands.add_parser("entities", help="a linked page for each thing that a corpus without links defines")
    pages.add_argument("corpus", type=Path, metavar="CORPUS", help="a folder, or an index")
    pages.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="the pages, and the replies so far")
    pages.add_argument("--concurrency", type=int, default=8, metavar="N", help="at once (default: 8)")
    pages.set_defaults(act="entities")
    for command in (make, pages):
        command.add_argument("--writer", choices=("extractive", "openai", "transformers"), default="extractive")
        command.add_argument(
            "--model", metavar="NAME", help="of the writer: an endpoint's name for it, or a model folder"
        )
        command.add_argument("--base-url", metavar="URL", help="with --writer openai: its endpoint")
        command.add_argument("--prices", type=float, nargs=2, default=(0.0, 0.0), metavar=("IN", "OUT"),
                             help="of a million tokens, to be told what was spent")  # fmt: skip
        command.add_argument("--max-tokens", type=int, default=4096, metavar="N", help="of one reply (default: 4096)")
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
    clean.set_defaults(act="clean")
    hard = commands.add_parser("difficulty", help="drop the tasks that a plain ReAct baseline solves")
    hard.add_argument("tasks", type=Path, metavar="TASKS.jsonl", help='tasks with an "answer", such as those of make')
    hard.add_argument("--corpus", type=Path, required=True, metavar="INDEX", help="what the baseline searches")
    hard.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="goes on where it stopped")
    hard.add_argument("--runs", type=int, default=4, metavar="K", help="episodes of each task (default: 4)")
    hard.add_argument("--solved", type=float, default=0.5, metavar="X", help="share from which it is solved (0.5)")
    hard.add_argument("--config", type=Path, metavar="FILE", help="settings of the agent, with the baseline's model; "
                      "without it the baseline is one search, and an answer among what that shows")  # fmt: skip
    hard.add_argument("--seed", type=int, default=0, metavar="N")
    hard.add_argument("--concurrency", type=int, default=8, metavar="N", help="episodes at once (default: 8)")
    hard.set_defaults(act="difficulty")
    demo.set_defaults(act="demo")
    make.set_defaults(act="make")


def run(args: argparse.Namespace) -> int:
    """0 when done; 1 where nothing is left; 2 for wrong usage or data; 3 where writer or judge can't be reached."""
    from judger.errors import JudgerError
    from policy.errors import ConfigError, InUse, ModelAway
    from train.expert.datasets import NothingLeft
    from train.lm.faults import Fault
    from train.synth import commands
    from train.synth.foldoc import NoDictionary
    from train.tasks.judging import JudgeDown

    try:
        code: int = getattr(commands, args.act)(args)
    except (ConfigError, Fault, InUse, NoDictionary) as error:
        print(error, file=sys.stderr)
        return 2
    except NothingLeft as error:
        print(error, file=sys.stderr)
        return 1
    except BaseExceptionGroup as group:  # of the workers; the first fault is told
        first = _first(group)
        if isinstance(first, OSError):  # such as a full disk
            raise first from group
        if not isinstance(first, (ModelAway, JudgerError)):
            raise
        print(f"{first}; the same command goes on from here", file=sys.stderr)
        return 3
    except (JudgeDown, JudgerError) as error:
        print(error, file=sys.stderr)
        return 3
    return code


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
