"""`judger-train judge`: the options of the recipe. Importing this loads no torch."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from train.judge.generative import options as generative
from train.judge.small.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument(
        "--engine", choices=["mini", "small", "torch"], default="mini", help="which engine's judge to train"
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="a folder with train/ and, to measure, eval/ of labelled cases"
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="what each stage leaves, figures.json and the trained judge go here"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu", help="cpu, or cuda: the same code")
    group = parser.add_argument_group("with --engine mini")
    group.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="processes for the encoder pass on a CPU"
    )
    group = parser.add_argument_group("with --engine small (and --model, the folder of a causal model)")
    small = Settings()
    for flag, default, what in (
        ("--small-epochs", small.epochs, "passes over the rubrics"),
        ("--small-rate", small.learning_rate, "the adapters' learning rate"),
        ("--small-rank", small.rank, "of the adapters"),
        ("--small-frozen", small.frozen, "layers from below that are not tuned"),
    ):
        group.add_argument(flag, type=type(default), default=default, help=f"{what}; default: {default:g}")
    group.add_argument(
        "--base", type=Path, help="a folder of weights: its reader is kept, what is fitted on top of it is fitted anew"
    )
    generative.add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Trains. 0 when done, 2 for bad data."""
    if not (options.data / "train").is_dir():
        print(f"{options.data}: no folder train/ in it", file=sys.stderr)
        return 2
    match options.engine:
        case "torch":
            return generative.run(options)
        case "small":
            return run_small(options)
        case _:
            return run_mini(options)


def run_mini(options: argparse.Namespace) -> int:
    """The built-in judge's recipe."""
    from train.judge.data import DataError
    from train.judge.mini import run

    try:
        figures = run(
            options.data,
            options.out,
            seed=options.seed,
            device=options.device,
            workers=options.workers,
            base=options.base,
        )
    except DataError as error:
        print(error, file=sys.stderr)
        return 2
    _print(figures)
    print(f"weights: {options.out / 'weights'}   logs: tensorboard --logdir {options.out / 'runs'}")
    return 0


def run_small(options: argparse.Namespace) -> int:
    """A small causal model as a reader of what mini's rule chooses."""
    import logging

    from train.judge.data import DataError
    from train.judge.small.recipe import run

    if options.model is None:
        print("--engine small needs --model FOLDER", file=sys.stderr)
        return 2
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    settings = Settings(
        epochs=options.small_epochs,
        learning_rate=options.small_rate,
        rank=options.small_rank,
        frozen=options.small_frozen,
        seed=options.seed,
    )
    told = {"settings": settings, "device": options.device, "workers": options.workers}
    try:
        figures = run(options.data, options.out, model=options.model, **told)
    except DataError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{'':40} {'n':>5} {'AUC':>6} {'mini':>6} {'both':>6}")
    for source, parts in figures.items():
        for part, found in parts.items():
            if "small" in found:
                aucs = " ".join(f"{found[who]['auc']:6.3f}" for who in ("small", "mini", "both"))
                print(f"{f'{source} {part}':40.40} {found['n']:5} {aucs}")
    print(f"adapters: {options.out / 'weights'}")
    return 0


def _print(figures: dict[str, Any]) -> None:
    if "eval" not in figures:
        return
    print(f"{'source':36} {'n':>5} {'bal.acc':>8} {'AUC':>6} {'says':>6} {'people':>6}")
    for name, row in figures["eval"].items():
        for part, found in [(name, row), *((f"  {kind}", one) for kind, one in row.get("kinds", {}).items())]:
            accuracy, auc = ("-" if found[key] is None else f"{found[key]:.3f}" for key in ("balanced_accuracy", "auc"))
            rates = f"{found['positive_rate']:6.2f} {found['human_positive_rate']:6.2f}"
            print(f"{part:36} {found['n']:5} {accuracy:>8} {auc:>6} {rates}")


def main(argv: list[str] | None = None) -> int:
    """Entry point of `python -m train.judge.cli`."""
    parser = argparse.ArgumentParser(prog="judger-train judge", description="Train a judge.")
    add_arguments(parser)
    return run(parser.parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
