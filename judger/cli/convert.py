"""judger convert: a GGUF file as a folder that the torch and the vllm engine load."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from judger.cli.console import loading
from judger.cli.exits import OK, tidily


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "convert",
        help="make a model folder of a GGUF file",
        description="Dequantises a GGUF file into a folder for --model. The file has to hold one whole model.",
        allow_abbrev=False,
    )
    parser.add_argument("file", type=Path, metavar="FILE.gguf")
    parser.add_argument("out", type=Path, metavar="OUT", help="the folder to make")
    parser.add_argument(
        "--dtype",
        choices=("float32", "bfloat16", "float16"),
        default="float32",
        help="what the weights are kept in: float32 (default) loses nothing, the others take half the room",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress on standard error")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    from judger.engines.gguf import convert

    with loading("converting", quiet=args.quiet), tidily():
        convert(args.file, args.out, dtype=args.dtype)
    if not args.quiet:
        print(f"judger: a model for --model {args.out}", file=sys.stderr)
    return OK
