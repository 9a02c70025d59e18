"""`judger-train`: one stage a command. Starting up loads no torch."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from train import threads
from train.judge import cli as judge
from train.lm import cli_midtrain as midtrain
from train.lm import cli_sft as sft
from train.rl import cli as rl
from train.synth import cli as synth
from train.tasks import cli as tasks

_STAGES = (
    ("tasks", "make a world, its tasks and the data to train on", tasks.add_arguments, tasks.run),
    ("synth", "make data from a corpus of one's own", synth.add_arguments, synth.run),
    ("midtrain", "mid-train a policy on text", midtrain.add_arguments, midtrain.run),
    ("sft", "fine-tune a policy on conversations with tools", sft.add_arguments, sft.run),
    ("rl", "train a policy by the judger's rewards", rl.add_arguments, rl.run),
    ("evaluate", "a policy's judged reward on held-out tasks", rl.add_evaluate_arguments, rl.run_evaluate),
    ("judge", "train a judge on labelled cases", judge.add_arguments, judge.run),
)


def build_parser() -> argparse.ArgumentParser:
    """The parser of `judger-train` with its stages."""
    parser = argparse.ArgumentParser(
        prog="judger-train",
        description="Train a judge, or a policy that the judge rewards.",
        epilog="Exit codes: 0 done; 2 the data or the usage is wrong; 3 the judger was lost, the state is saved; "
        "130 interrupted (run again to go on).",
        allow_abbrev=False,
    )
    stages = parser.add_subparsers(title="stages", metavar="STAGE")
    for name, text, add_arguments, run in _STAGES:
        stage = stages.add_parser(name, help=text, description=text, allow_abbrev=False)
        add_arguments(stage)
        if name not in ("tasks", "synth"):  # which compute nothing
            threads.add_argument(stage)
        stage.set_defaults(run=run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one stage and returns its exit code."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its own lines would come before what we say of the same fault
    parser = build_parser()
    args = parser.parse_args(argv)
    if "run" not in args:
        parser.print_help()
        return 0
    try:
        if hasattr(args, "threads"):
            threads.use_threads(args.threads)
        code: int = args.run(args)
    except KeyboardInterrupt:
        print("judger-train: interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] in ("train", "judger", "policy"):
            raise
        extra = "synth" if error.name in ("networkx", "datasketch", "py3langid") else "train"
        print(f"judger-train: {error.name} is not installed: pip install 'checklist-judger[{extra}]'", file=sys.stderr)
        return 2
    except OSError as error:
        if error.errno is None:  # a library's own, which its traceback explains
            raise
        where = "" if error.filename is None else f"{error.filename}: "
        print(f"judger-train: {where}{error.strerror}", file=sys.stderr)
        return 2
    return code


if __name__ == "__main__":
    sys.exit(main())
