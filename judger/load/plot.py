"""A picture of a load: when each call came and how long it took, the distribution, and what got through by the second.

Needs matplotlib (the `[plot]` extra), which only the process that draws imports.
"""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from judger.errors import InvalidRequest
from judger.load.figures import Figures
from judger.load.generator import Sent

IN_TIME, UNSCORED, LATE, REFUSED = "answered in time", "with unscored criteria", "too late", "refused or failed"
COLOURS = {IN_TIME: "#1f77b4", UNSCORED: "#9467bd", LATE: "#ff7f0e", REFUSED: "#d62728"}
BINS = 40


FORMATS = (".png", ".svg", ".pdf")


def check_can_plot(path: Path) -> None:
    """Raises InvalidRequest where matplotlib is missing, or knows no such file."""
    if path.suffix.lower() not in FORMATS:
        raise InvalidRequest("--plot", f"{path} must end in {', '.join(FORMATS)}")
    if importlib.util.find_spec("matplotlib") is None:
        raise InvalidRequest("--plot", "matplotlib is not installed: pip install 'checklist-judger[plot]'")


def plot(rows: Sequence[Sent], path: Path, *, title: str, seconds: float, deadline: float | None) -> None:
    """Draws the calls into an image file, PNG or what its name says. `seconds`: for how long calls were sent."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = [row for row in rows if row.code != "STOPPED"]
    kinds = [_kind(row) for row in rows]
    figure, axes = pyplot.subplot_mosaic(
        [["calls", "calls"], ["spread", "rate"]], figsize=(11, 7), layout="constrained"
    )
    _draw_calls(axes["calls"], rows, kinds, deadline)
    _draw_spread(axes["spread"], rows, deadline)
    _draw_rate(axes["rate"], rows, kinds, seconds)
    figure.suptitle(title, fontsize=11)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _kind(row: Sent) -> str:
    if row.in_time:
        return IN_TIME
    if row.code != "OK":
        return REFUSED
    return LATE if row.scored == row.criteria else UNSCORED


def _draw_calls(axes: Any, rows: Sequence[Sent], kinds: Sequence[str], deadline: float | None) -> None:
    counts = Counter(kinds)
    for kind in (kind for kind in COLOURS if counts[kind]):
        chosen = [row for row, one in zip(rows, kinds, strict=True) if one == kind]
        label = f"{kind}: {counts[kind]:,}"
        axes.scatter(
            [row.due for row in chosen], [_shown(row.latency) for row in chosen], s=9, c=COLOURS[kind], label=label
        )
    if deadline is not None:
        axes.axhline(deadline, color="grey", linestyle="--", linewidth=1, label=f"deadline {deadline:g} s")
    axes.set(yscale="log", xlabel="second at which the call was due", ylabel="seconds until it ended")
    axes.grid(alpha=0.25)
    axes.yaxis.set_major_formatter("{x:g}")
    if rows:
        axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=5, fontsize=8, frameon=False)


def _draw_spread(axes: Any, rows: Sequence[Sent], deadline: float | None) -> None:
    figures = Figures()
    for row in rows:
        figures.add(row)
    answered = [_shown(row.latency) for row in rows if row.code == "OK"]
    axes.set(xlabel="seconds until answered", ylabel="calls")
    if not answered:
        axes.text(0.5, 0.5, "no call was answered", ha="center", transform=axes.transAxes)
        return
    low, high = min(answered) * 0.99, max(answered) * 1.01
    axes.hist(answered, bins=[low * (high / low) ** (i / BINS) for i in range(BINS + 1)], color=COLOURS[IN_TIME])
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    for style, percent in zip(("-", "--", ":"), (50.0, 95.0, 99.0), strict=True):
        value = figures.answered.percentile(percent)
        assert value is not None
        axes.axvline(value, color="black", linewidth=1, linestyle=style, label=f"P{percent:g} {value * 1000:,.0f} ms")
    axes.legend(fontsize=8, frameon=False, loc="upper left")
    if deadline is not None and low < deadline < high:
        axes.axvline(deadline, color="grey", linewidth=1)


def _draw_rate(axes: Any, rows: Sequence[Sent], kinds: Sequence[str], seconds: float) -> None:
    width = max(1.0, seconds / 60)
    bins = max(1, round(seconds / width))
    due = Counter(min(bins - 1, int(row.due / width)) for row in rows)
    good = Counter(
        min(bins - 1, int(row.due / width)) for row, kind in zip(rows, kinds, strict=True) if kind == IN_TIME
    )
    at = [(i + 0.5) * width for i in range(bins)]
    axes.plot(at, [due[i] / width for i in range(bins)], color="grey", label="offered")
    axes.plot(at, [good[i] / width for i in range(bins)], color=COLOURS[IN_TIME], label="answered in time")
    axes.set(xlabel="second at which the call was due", ylabel="calls a second", ylim=(0, None), xlim=(0, seconds))
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, frameon=False)


def _shown(seconds: float) -> float:
    return max(seconds, 1e-4)  # a logarithm has no zero
