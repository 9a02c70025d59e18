"""How many threads of the CPU a stage computes with."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping

__all__ = ["add_argument", "default_threads", "use_threads"]


def add_argument(parser: argparse.ArgumentParser) -> None:
    """The option that every stage has which computes."""
    parser.add_argument(
        "--threads",
        type=positive,
        metavar="N",
        help="CPU threads to compute with (default: $OMP_NUM_THREADS, else all cores but one)",
    )


def positive(text: str) -> int:
    """A count of one or more."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of threads")
    return int(text)


def default_threads(cores: int, environment: Mapping[str, str]) -> int | None:
    """One core is left to whoever else computes here; None where the environment says how many there are to be.

    Threads of one sum wait for one another: with one of them off its core, which on a busy machine one always is, all
    stand still. On two busy cores a single thread is several times as fast as two.
    """
    return None if environment.get("OMP_NUM_THREADS") else max(1, cores - 1)


def use_threads(wanted: int | None) -> None:
    """Sets torch's threads, before anything computes."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    count = wanted or default_threads(cores, os.environ)
    if count is not None:
        import torch

        torch.set_num_threads(count)
