"""The table of the stages: what each left, on tasks that none of them has seen."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from train.demo.compare import Interval, difference, mean, task_means
from train.demo.plan import ALGORITHMS, Layout

__all__ = ["table"]


def table(layout: Layout, seeds: int, seconds: dict[str, float]) -> str:
    """Markdown: mid-training's loss and retrieval, held-out reward by stage, gains with intervals, and times."""
    groups = {"mid2": ["mid2"], "sft": ["sft"]}
    groups |= {algo: [f"{algo}-{seed}" for seed in range(seeds)] for algo in ALGORITHMS}
    parts = [
        "# Mid-training, on held-out text",
        _midtraining(layout),
        "# Held-out tasks of another world, judged by the built-in judge (strict reward)",
        _stages(layout, groups),
        "# Gains on the same tasks",
        _gains(layout, groups),
        "# Time",
        _rows(("stage", "seconds"), [(name, f"{value:.0f}") for name, value in seconds.items()]),
    ]
    return "\n\n".join(parts) + "\n"


def _midtraining(layout: Layout) -> str:
    rows = []
    for stage in ("mid1", "mid2"):
        figures = json.loads((layout.run(stage) / "figures.json").read_text(encoding="utf-8"))
        for when in ("random", "before", "after"):
            found = figures[when]
            lengths = "; ".join(f"{n}: {value['all']:.0%}" for n, value in found["retrieval"].items())
            rows.append((stage, when, f"{_mean_loss(found['loss']):.3f}", lengths, f"{figures['chance']:.0%}"))
    return _rows(("stage", "model", "loss", "retrieval at length", "chance"), rows)


def _mean_loss(positions: Sequence[dict[str, float]]) -> float:
    return sum(row["loss"] * row["tokens"] for row in positions) / sum(row["tokens"] for row in positions)


def _stages(layout: Layout, groups: dict[str, list[str]]) -> str:
    rows = []
    for name, runs in groups.items():
        outcomes = [json.loads(layout.outcome(run).read_text(encoding="utf-8")) for run in runs]
        reward = mean([task_means(layout.outcome(run)) for run in runs]) if all(o["reward"] for o in outcomes) else None
        rows.append(
            (
                name + (f" ({len(runs)} seeds)" if len(runs) > 1 else ""),
                _interval(reward),
                *(_role(outcomes, role) for role in ("explicit", "implicit", "negative")),
                *(_figure(outcomes, key) for key in ("watch/words", "watch/copied", "watch/repetition")),
                *(_figure(outcomes, key) for key in ("tool_errors", "no_report_share", "unscored_share")),
            )
        )
    head = ("stage", "reward [95%]", "explicit", "implicit", "negative", "words", "copied", "repeated", "tool errors")
    return _rows((*head, "no report", "unscored"), rows)


def _gains(layout: Layout, groups: dict[str, list[str]]) -> str:
    rows = []
    for before, after in (("mid2", "sft"), *(("sft", algo) for algo in ALGORITHMS)):
        runs = [[task_means(layout.outcome(run)) for run in groups[name]] for name in (before, after)]
        shared = set.intersection(*(set(run) for group in runs for run in group))
        gain = difference(*runs) if shared else None
        apart = gain is not None and gain[1] > 0
        rows.append((f"{before} to {after}", _interval(gain, sign="+"), "yes" if apart else "no"))
    return _rows(("step", "gain [95%]", "above 0"), rows)


def _role(outcomes: Sequence[dict[str, Any]], role: str) -> str:
    values = [found["value"] for outcome in outcomes if (found := outcome["roles"].get(role))]
    return f"{sum(values) / len(values):.2f}" if values else "-"


def _figure(outcomes: Sequence[dict[str, Any]], key: str) -> str:
    values = [outcome["figures"][key] for outcome in outcomes if key in outcome["figures"]]
    return f"{sum(values) / len(values):.2f}" if values else "-"


def _interval(interval: Interval | None, sign: str = "") -> str:
    return "nothing was scored" if interval is None else "{:{s}.3f} [{:{s}.3f}, {:{s}.3f}]".format(*interval, s=sign)


def _rows(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
