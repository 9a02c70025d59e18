"""What came of a load: rates, latencies, and how the calls ended. Pure but for what is added."""

from __future__ import annotations

import math
from collections import Counter

from judger.load.generator import Sent

PERCENTILES = (50.0, 90.0, 95.0, 99.0, 99.9)
STEPS = 100
"""Buckets of the histogram to a tenfold: each is 2.3% wide."""
FLOOR = 1e-4
"""Seconds; all below is one bucket."""


class Histogram:
    """Latencies in buckets of equal ratio: small whatever the load, and percentiles right to 2.3%."""

    def __init__(self) -> None:
        self.counts: Counter[int] = Counter()
        self.longest = 0.0

    def add(self, seconds: float) -> None:
        """Counts one."""
        self.counts[max(0, math.ceil(STEPS * math.log10(max(seconds, FLOOR) / FLOOR)))] += 1
        self.longest = max(self.longest, seconds)

    def percentile(self, percent: float) -> float | None:
        """Seconds that this share of the calls took at most, to the upper end of a bucket; None without any call."""
        wanted, seen = math.ceil(percent / 100 * self.counts.total()), 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            if seen >= wanted:
                return min(self.longest, self.upper_end(bucket))
        return None

    @staticmethod
    def upper_end(bucket: int) -> float:
        """Seconds at which a bucket ends."""
        return float(FLOOR * 10 ** (bucket / STEPS))

    def to_json(self) -> list[dict[str, float]]:
        """Buckets by their upper end, in seconds."""
        return [{"up_to": self.upper_end(bucket), "calls": self.counts[bucket]} for bucket in sorted(self.counts)]


class Figures:
    """A running account of the calls that have ended."""

    def __init__(self) -> None:
        self.codes: Counter[str] = Counter()
        self.unscored: Counter[str] = Counter()
        self.said: dict[str, str] = {}
        """The latest message of each status but OK."""
        self.answered = Histogram()
        """Latencies of the answered calls, whole or not."""
        self.refused = Histogram()
        """Latencies of all others."""
        self.lag = Histogram()
        """How late the generator itself was."""
        self.in_time = self.reports_in_time = self.scored = self.criteria = self.cached = 0

    @property
    def calls(self) -> int:
        return self.codes.total()

    @property
    def is_perfect(self) -> bool:
        """Every call was answered whole and in time."""
        return self.in_time == self.calls

    def add(self, row: Sent) -> None:
        """Counts one call."""
        self.codes[row.code] += 1
        if row.code == "STOPPED":  # by us: it says nothing of the server
            return
        if row.detail:
            self.said[row.code] = row.detail
        self.lag.add(row.sent - row.due)
        (self.answered if row.code == "OK" else self.refused).add(row.latency)
        self.unscored.update(row.unscored)
        self.in_time += row.in_time
        self.reports_in_time += row.reports if row.in_time else 0
        self.criteria += row.criteria
        self.scored += row.scored
        self.cached += row.cached

    def to_json(self, seconds: float) -> dict[str, object]:
        """The summary; `seconds` is how long it took. Latencies in seconds, rates by the second."""
        return {
            "seconds": seconds,
            "calls": self.calls,
            "calls_per_second": self.calls / seconds,
            "answered_per_second": self.codes["OK"] / seconds,
            "goodput": {
                "calls": self.in_time,
                "calls_per_second": self.in_time / seconds,
                "reports_per_second": self.reports_in_time / seconds,
                "share": self.in_time / self.calls if self.calls else None,
            },
            "codes": dict(self.codes.most_common()),
            "said": self.said,
            "criteria": {"asked": self.criteria, "scored": self.scored, "cached": self.cached},
            "unscored": dict(self.unscored.most_common()),
            "latency": _latencies(self.answered) | {"histogram": self.answered.to_json()},
            "latency_of_others": _latencies(self.refused),
            "generator_lag": _latencies(self.lag),
        }


def _latencies(of: Histogram) -> dict[str, object]:
    figures: dict[str, object] = {f"p{percent:g}": of.percentile(percent) for percent in PERCENTILES}
    return figures | {"max": of.longest if of.counts else None}
