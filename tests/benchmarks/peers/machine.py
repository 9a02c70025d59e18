"""What a run cost: an endpoint's own count of tokens, and the peak memory of processes."""

from __future__ import annotations

import re
import urllib.request
from pathlib import Path

__all__ = ["forget_peaks", "peak_mib", "tokens_of"]

COUNTERS = ("prompt_tokens", "prompt_tokens_cached", "generation_tokens")


def tokens_of(url: str) -> dict[str, float]:
    """vLLM's counters up to now, of an endpoint up to `/v1`."""
    with urllib.request.urlopen(f"{url.removesuffix('/v1')}/metrics", timeout=60) as reply:
        text = reply.read().decode()
    found = {}
    for name in COUNTERS:
        values = re.findall(rf"^vllm:{name}_total(?:\{{[^}}]*\}})? (\S+)$", text, re.MULTILINE)
        if not values:
            raise RuntimeError(f"{url} counts no {name}")
        found[name] = sum(map(float, values))
    return found


def tree(pid: int) -> list[int]:
    """A process and all below it that still live."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = task.read_text().split()
        except FileNotFoundError:
            continue
        found += [one for child in children for one in tree(int(child))]
    return found


def peak_mib(pid: int) -> float:
    """The sum of the peak resident sets of a process and all below it, in MiB."""
    total = 0.0
    for one in tree(pid):
        try:
            status = Path(f"/proc/{one}/status").read_text()
        except FileNotFoundError:
            continue
        total += sum(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM:"))
    return total


def forget_peaks(pid: int) -> None:
    """Peaks count from here (Linux's clear_refs)."""
    for one in tree(pid):
        Path(f"/proc/{one}/clear_refs").write_text("5")
