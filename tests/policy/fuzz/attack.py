"""An attack: inputs by the thousand on a target, and what it did not bear."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Found", "Target", "attack"]


@dataclass(frozen=True, slots=True)
class Target:
    """What is attacked, with what."""

    inputs: Callable[[int, int], Iterator[Any]]
    """(how many, seed) -> inputs."""
    bear: Callable[[Any], None]
    """Raises where an input has done something else than be read or refused."""
    seconds: float | None = None
    """Of the processor, that an input may take."""
    close: Callable[[], None] = lambda: None
    """Ends what was started for the inputs."""


@dataclass
class Found:
    """What an attack has found."""

    inputs: int = 0
    slowest: float = 0.0
    """Seconds of the processor."""
    slowest_input: Any = None
    failures: list[tuple[Any, str]] = field(default_factory=list)

    def figures(self) -> dict[str, float]:
        return {"inputs": self.inputs, "failures": len(self.failures), "slowest_seconds": round(self.slowest, 3)}


def attack(target: Target, inputs: int, seed: int) -> Found:
    """Give a target so many inputs, and find those that it does not bear."""
    found = Found()
    try:
        _attack(target, inputs, seed, found)
    finally:
        target.close()
    return found


def _attack(target: Target, inputs: int, seed: int, found: Found) -> None:
    for given in target.inputs(inputs, seed):
        start = time.process_time()
        try:
            target.bear(given)
            took = time.process_time() - start
            if target.seconds is not None and took > target.seconds:
                start = time.process_time()  # again: a first call or collected garbage is no fault
                target.bear(given)
                took = min(took, time.process_time() - start)
                assert took <= target.seconds, f"took {took:.1f} s"
        except Exception:  # noqa: BLE001 - each is a finding, kept with its trace
            took = time.process_time() - start
            found.failures.append((given, traceback.format_exc()))
        if took > found.slowest:
            found.slowest, found.slowest_input = took, given
        found.inputs += 1
