"""The funnels as one picture: of each capability, what was made, what each filter took and what is left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from train.tasks.funnel import Funnel

__all__ = ["draw_funnels", "draw_histogram"]

_KEPT = "#2a7f62"


def draw_funnels(funnels: Sequence[Funnel], path: Path) -> None:
    """A bar a capability, cut by filters in their order; the share that is kept stands first, in green."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(11, 1.4 + 0.75 * len(funnels)), layout="constrained")
    tab = pyplot.get_cmap("tab20").colors
    colours = [colour for place, colour in enumerate(tab) if place not in (4, 5)]  # not the greens
    shown: dict[str, str] = {}
    for place, funnel in enumerate(funnels):
        left = 0.0
        for name, count in (("kept", funnel.kept), *funnel.dropped.items()):
            if not count or not funnel.total:
                continue
            colour = _KEPT if name == "kept" else shown.setdefault(name, colours[len(shown) % len(colours)])
            width = 100 * count / funnel.total
            label = name if name == "kept" and not place else None
            axis.barh(place, width, left=left, color=colour, edgecolor="white", label=label)
            if width > 4:
                axis.text(left + width / 2, place, str(count), ha="center", va="center", fontsize=8)
            left += width
    axis.set_yticks(range(len(funnels)), [f"{funnel.name} ({funnel.total})" for funnel in funnels])
    axis.invert_yaxis()
    axis.set_xlim(0, 100)
    axis.set_xlabel("% of what was begun; the numbers are rows")
    from matplotlib.patches import Patch

    parts = [Patch(color=_KEPT, label="kept"), *(Patch(color=colour, label=name) for name, colour in shown.items())]
    figure.legend(handles=parts, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def draw_histogram(rates: Mapping[str, Sequence[float]], path: Path, runs: int) -> None:
    """How many tasks a baseline solves in how many of its runs, a colour a kind of task."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(7, 4), layout="constrained")
    edges = [(step - 0.5) / runs for step in range(runs + 2)]
    axis.hist(list(rates.values()), bins=edges, label=list(rates), stacked=True, edgecolor="white")
    axis.set_xlabel(f"share of {runs} runs that solve the task")
    axis.set_ylabel("tasks")
    axis.legend(frameon=False)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
