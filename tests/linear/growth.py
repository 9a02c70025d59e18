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
        took = _seconds(call, text)
        if took < LEAST:
            if size >= 1_024 and min(took, _seconds(call, text)) < QUICK * size:
                return None
            continue
        before = min(_seconds(call, make(int(smaller))) for _ in range(3))
        # The least of several: what a first call or a cold cache cost is no growth.
        most = (size / smaller) ** EXPONENT * max(before, 1e-5)
        if took > most and (took := min(_seconds(call, text) for _ in range(6))) > most:
            return f"{smaller:.0f} characters took {before * 1e3:.2f} ms, {size} took {took * 1e3:.0f} ms"
    return None


def _seconds(call: Callable[[str], Any], text: str) -> float:
    start = time.thread_time()
    call(text)
    return time.thread_time() - start
