"""`judger-train`: one stage a command. Starting up loads no torch."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from train.judge import cli as judge
from train.lm import cli_midtrain as midtrain
from train.lm import cli_sft as sft
from train.tasks import cli as tasks


def build_parser() -> argparse.ArgumentParser:
    """The parser of `judger-train` with its stages."""
    parser = argparse.ArgumentParser(
        prog="judger-train",
        description="Train a judge, or a policy that the judge rewards.",
        epilog="Exit codes: 0 done; 2 the data or the usage is wrong; 130 interrupted (run again to go on).",
        allow_abbrev=False,
    )
    stages = parser.add_subparsers(title="stages", required=True, metavar="STAGE")
    stage = stages.add_parser("judge", help="train a judge on labelled cases", allow_abbrev=False)
    judge.add_arguments(stage)
    stage.set_defaults(run=judge.run)
    stage = stages.add_parser("midtrain", help="mid-train a policy on text", allow_abbrev=False)
    midtrain.add_arguments(stage)
    stage.set_defaults(run=midtrain.run)
    stage = stages.add_parser("sft", help="fine-tune a policy on conversations with tools", allow_abbrev=False)
    sft.add_arguments(stage)
    stage.set_defaults(run=sft.run)
    stage = stages.add_parser(
        "tasks", help="make a world, tasks with rubrics, and data to train on", allow_abbrev=False
    )
    tasks.add_arguments(stage)
    stage.set_defaults(run=tasks.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one stage and returns its exit code."""
    args = build_parser().parse_args(argv)
    try:
        code: int = args.run(args)
    except KeyboardInterrupt:
        print("judger-train: interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] in ("train", "judger"):
            raise
        print(f"judger-train: {error.name} is not installed: pip install 'checklist-judger[train]'", file=sys.stderr)
        return 2
    return code


if __name__ == "__main__":
    sys.exit(main())
