"""What `judger bench` shows: a line that moves while it runs, and a table at its end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich import box
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from judger.cli.console import messages, output

if TYPE_CHECKING:
    from judger.load import Figures, Generator, Histogram

REFRESH = 0.25
"""Seconds between two looks."""
BARS = "▁▂▃▄▅▆▇█"
WIDTH = 48
"""Columns of the histogram."""


@contextmanager
def live(figures: Figures, generator: Generator, seconds: float, *, quiet: bool) -> Iterator[None]:
    """Rates and latencies so far on standard error, where that is a terminal and nobody asked for quiet."""
    console = messages()
    if quiet or not console.is_terminal:
        yield
        return
    started = time.monotonic()
    bar = Progress(TextColumn("load"), BarColumn(bar_width=24), TextColumn("{task.completed:.0f} of {task.total:g} s"))
    task = bar.add_task("load", total=seconds)

    def now() -> Table:
        elapsed = time.monotonic() - started
        bar.update(task, completed=min(elapsed, seconds))
        grid = Table.grid(padding=(0, 1))
        grid.add_row(bar.get_renderable(), _so_far(figures, generator.num_in_flight, elapsed))
        return grid

    with Live(console=console, get_renderable=now, refresh_per_second=1 / REFRESH, transient=True):
        yield


def _so_far(figures: Figures, in_flight: int, elapsed: float) -> Text:
    others = figures.calls - figures.codes["OK"]
    text = Text(f"{in_flight:,} in flight · {figures.calls:,} done", style="cyan")
    text.append(f" · {figures.in_time / max(elapsed, 1e-3):,.1f}/s in time", style="green")
    if others:
        text.append(f" · {others:,} refused or failed", style="red")
    median, tail = (figures.answered.percentile(percent) for percent in (50, 99))
    text.append(f" · median {_milliseconds(median)}, P99 {_milliseconds(tail)}")
    return text


def show(figures: Figures, judge_id: str, *, what: str, seconds: float, group: int) -> None:
    """The table, for people."""
    console = output()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_header=False, title=what, title_justify="left")
    table.add_column(style="bold")
    table.add_column()
    table.add_row("calls", f"{figures.calls:,} in {seconds:.1f} s, {figures.calls / seconds:,.1f} a second")
    share = f" ({figures.in_time / figures.calls:.1%})" if figures.calls else ""
    reports = f", {figures.reports_in_time / seconds:,.1f} reports a second" if group else ""
    table.add_row("goodput", f"{figures.in_time / seconds:,.1f} calls a second whole and in time{share}{reports}")
    table.add_row("status", _counts(figures.codes))
    for code, said in figures.said.items():
        table.add_row("", Text(f"{code}: {said}", style="red"))
    cached = f", {figures.cached:,} of them known already" if figures.cached else ""
    table.add_row("criteria", f"{figures.scored:,} of {figures.criteria:,} scored{cached}")
    if figures.unscored:
        table.add_row("unscored", Text(_counts(figures.unscored), style="magenta"))
    table.add_row("latency", _percentiles(figures.answered))
    if figures.answered.counts:
        table.add_row("", _bars(figures.answered))
    if figures.refused.counts:
        table.add_row("refused after", _percentiles(figures.refused))
    console.print(table)
    late = figures.lag.percentile(99)
    if late is not None and late > 0.05:
        note = f"The load itself was late by up to {_milliseconds(late)} (P99): this machine could not send it in time."
        console.print(Text(note, style="yellow"))
    console.print(Text(f"judge {judge_id} · latency counts from the instant a call was due", style="dim"))


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items(), key=lambda one: -one[1]))


def _percentiles(of: Histogram) -> str:
    if not of.counts:
        return "no call was answered"
    parts = [("median", 50.0), ("P90", 90.0), ("P99", 99.0)]
    said = [f"{name} {_milliseconds(of.percentile(percent))}" for name, percent in parts]
    return ", ".join([*said, f"worst {_milliseconds(of.longest)}"])


def _bars(of: Histogram) -> Text:
    """The histogram on a logarithmic axis, as one line of blocks between its ends."""
    buckets = sorted(of.counts)
    low, high = buckets[0], buckets[-1]
    columns = [0] * min(WIDTH, high - low + 1)
    for bucket in buckets:
        columns[(bucket - low) * len(columns) // (high - low + 1)] += of.counts[bucket]
    most = max(columns)
    blocks = "".join(BARS[(len(BARS) - 1) * count // most] if count else " " for count in columns)
    ends = _milliseconds(of.upper_end(low)), _milliseconds(of.upper_end(high))
    return Text.assemble((f"{ends[0]} ", "dim"), (blocks, "cyan"), (f" {ends[1]}", "dim"))


def _milliseconds(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return f"{seconds:,.1f} s" if seconds >= 10 else f"{seconds * 1000:,.{0 if seconds >= 0.01 else 1}f} ms"
