"""`judger-train midtrain`: its options. Importing this loads no torch."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from train.lm.training import add_options, options_of, preset_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--data", type=Path, required=True, help="what judger-train tasks wrote")
    parser.add_argument("--out", type=Path, required=True, help="the model, figures.json, checkpoints and logs go here")
    parser.add_argument("--stage", type=int, choices=[1, 2], required=True, help="1: plain text; 2: with tool calls")
    start = parser.add_mutually_exclusive_group(required=True)
    start.add_argument("--model", help="go on from this folder or hub name")
    start.add_argument(
        "--tiny", nargs="?", const="", metavar="NAME=N,...",
        help="begin with random weights and a tokenizer trained on the data; sizes such as hidden=128,heads=4",
    )  # fmt: skip
    parser.add_argument("--context", type=int, help="tokens of a packed row (default: the preset's)")
    parser.add_argument(
        "--mix", action="append", default=[], metavar="KIND=WEIGHT",
        help="how often a kind of text is seen against the others, 1 by default; several times",
    )  # fmt: skip
    parser.add_argument("--probes", type=int, default=40, help="texts of the retrieval probe at each length")
    parser.add_argument(
        "--measured-rows", type=int, default=200, metavar="N",
        help="the most held-out rows that loss by position is measured on, before and after; 0 measures nothing",
    )  # fmt: skip
    add_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Trains. 0 when done, 2 where something cannot be used."""
    from train.lm.faults import Fault
    from train.lm.midtrain import midtrain

    try:
        tiny = None
        if arguments.tiny is not None:
            from train.lm.tiny import TinySizes

            tiny = TinySizes(**_sizes(arguments.tiny))
        defaults = preset_of(arguments, "midtrain", str(arguments.stage))
        figures = midtrain(
            arguments.data,
            arguments.out,
            stage=arguments.stage,
            model=arguments.model,
            tiny=tiny,
            context=arguments.context or defaults["context"],
            options=options_of(arguments, defaults),
            weights=dict(_weight(text) for text in arguments.mix),
            probes=arguments.probes,
            measured_rows=arguments.measured_rows,
        )
    except Fault as fault:
        print(fault, file=sys.stderr)
        return 2
    _print(figures)
    print(f"model: {arguments.out}   logs: tensorboard --logdir {arguments.out / 'runs'}")
    return 0


def _weight(text: str) -> tuple[str, float]:
    from train.lm.faults import Fault

    kind, _, weight = text.rpartition("=")
    try:
        number = float(weight)
    except ValueError:
        number = -1.0
    if not kind or not 0 <= number < 1000:
        raise Fault(f"--mix {text}: write it as kind=weight with a weight of at least 0")
    return kind, number


def _sizes(text: str) -> dict[str, int]:
    from train.lm.faults import Fault
    from train.lm.tiny import TinySizes

    sizes: dict[str, int] = {}
    for part in filter(None, text.split(",")):
        name, _, value = part.partition("=")
        if name not in TinySizes.__dataclass_fields__ or name == "context" or not value.isdigit() or int(value) < 1:
            known = ", ".join(sorted(TinySizes.__dataclass_fields__.keys() - {"context"}))
            raise Fault(f"--tiny {part}: write it as name=number; the names are {known}")
        sizes[name] = int(value)
    return sizes


def _print(figures: dict[str, Any]) -> None:
    if "after" not in figures:
        return
    models = tuple(name for name in ("random", "before", "after") if name in figures)
    print(f"{figures['parameters']:,} parameters, {figures['rows']:,} rows, {figures['tokens']:,} tokens")
    print(f"{'loss by position':24}" + "".join(f"{name:>9}" for name in models))
    for rows in zip(*(figures[name]["loss"] for name in models), strict=True):
        place = f"{rows[0]['from']} to {rows[0]['to'] - 1}"
        print(f"{place:24}" + "".join(f"{row['loss']:9.3f}" for row in rows))
    for length, count in figures["probes"].items():
        print(f"retrieval in {length} tokens ({count} probes; chance {figures['chance']:.3f})")
        for depth in figures["after"]["retrieval"][length]:
            values = (figures[name]["retrieval"][length][depth] for name in models)
            print(f"  {depth:22}" + "".join(f"{value:9.3f}" for value in values))
