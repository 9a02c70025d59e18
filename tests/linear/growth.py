"""How a call's time grows with the length of its text.

Times are CPU seconds of this thread, so that no other load shows in them, and they are compared with each other: a
slow machine is slow at both lengths.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

SIZES = (16, 128, 1_024, 8_192)
"""Characters. The first ones keep an exponential or cubic search from holding up the tests."""
QUICK = 100e-9
"""Seconds a character, beneath which a text needs no longer one: squared, 1,024 characters take five times as many."""
LEAST = 0.005
"""Seconds, beneath which a time says nothing."""
EXPONENT = 1.5
"""Of the length: linear work has 1, quadratic 2."""


def fault(call: Callable[[str], Any], make: Callable[[int], str], sizes: tuple[int, ...] = SIZES) -> str | None:
    """What is wrong with the growth of `call(make(n))`, None where it is linear as far as it can be told."""
    for smaller, size in zip((sizes[0] / 8, *sizes), sizes, strict=False):
        text = make(size)
        took = seconds(call, text)
        if took < LEAST:
            if size >= 1_024 and min(took, seconds(call, text)) < QUICK * size:
                return None
            continue
        # The least of several: what a first call, a cold cache or a neighbour cost is no growth.
        growth, before = (size / smaller) ** EXPONENT, seconds(call, make(int(smaller)), 3)
        if took > growth * max(before, 1e-5):
            before = min(before, seconds(call, make(int(smaller)), 4))
            took = min(took, seconds(call, text, 6))
            if took > growth * max(before, 1e-5):
                return f"{smaller:.0f} characters took {before * 1e3:.2f} ms, {size} took {took * 1e3:.0f} ms"
    return None


def seconds(call: Callable[[str], Any], text: str, times: int = 1) -> float:
    """The least of so many calls."""
    least = float("inf")
    for _ in range(times):
        start = time.thread_time()
        call(text)
        least = min(least, time.thread_time() - start)
    return least
