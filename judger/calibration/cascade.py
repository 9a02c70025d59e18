"""Which margin a cascade should have: what each would cost and how right it would be, on verdicts of both levels.

Both levels judge every labelled criterion once; every margin is then replayed on what they said, offline. A criterion
that no level has a verdict on counts as wrong on either side of the strict bit: to leave it out would make a judge
that fails look right.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from judger.agreement import Observation
from judger.errors import InvalidRequest
from judger.types import Label, Score

__all__ = ["Curve", "Point", "Row", "choose", "curve", "plot", "read_rows", "rows_of", "write_curve", "write_rows"]

WITHIN = 0.005
"""A margin is as good as the best one if its balanced accuracy is at most this much less."""
MARGINS = tuple(round(0.01 * i, 2) for i in range(51))
MIN_PER_SIDE = 10


@dataclass(frozen=True, slots=True)
class Row:
    """One labelled criterion. first, second: the strict bit of each level, None where it has no verdict; margin: of
    the first level's P(satisfied) from its threshold, 0 without a verdict."""

    satisfied: bool
    first: bool | None
    margin: float
    second: bool | None


@dataclass(frozen=True, slots=True)
class Point:
    """What one margin does: the share of criteria asked of the second level, and how right the verdicts are."""

    margin: float
    second_share: float
    balanced_accuracy: float
    unscored: float


@dataclass(frozen=True, slots=True)
class Curve:
    """All margins, the second level alone, and the one that is chosen."""

    points: tuple[Point, ...]
    second_alone: float
    chosen: Point
    num_criteria: int

    def to_json(self) -> dict[str, object]:
        """For files."""
        return asdict(self)


def rows_of(first: Iterable[Observation], second: Iterable[Observation]) -> list[Row]:
    """From what both levels said of the same criteria, in the same order."""
    return [
        Row(
            _is_met(a.human, a.negative),
            a.result.satisfied if isinstance(a.result, Score) else None,
            a.result.margin if isinstance(a.result, Score) else 0.0,
            b.result.satisfied if isinstance(b.result, Score) else None,
        )
        for a, b in zip(first, second, strict=True)
    ]


def curve(rows: Sequence[Row], *, on_failure: str = "unscored", within: float = WITHIN) -> Curve:
    """Every margin from 0 to 0.5 replayed. Raises InvalidRequest with too few labels on either side."""
    truth = np.array([row.satisfied for row in rows], np.bool_)
    if min(int(truth.sum()), int((~truth).sum())) < MIN_PER_SIDE:
        raise InvalidRequest(
            "labels", f"at least {MIN_PER_SIDE} satisfied and {MIN_PER_SIDE} other criteria are needed"
        )
    points = []
    for margin in MARGINS:
        asked = np.array([row.first is None or row.margin < margin for row in rows], np.bool_)
        said = [_said(row, is_asked, on_failure) for row, is_asked in zip(rows, asked.tolist(), strict=True)]
        unscored = sum(one is None for one in said) / len(rows)
        points.append(Point(margin, float(asked.mean()), _balanced(said, truth), unscored))
    alone = _balanced([row.second for row in rows], truth)
    return Curve(tuple(points), alone, choose(points, within), len(rows))


def choose(points: Sequence[Point], within: float = WITHIN) -> Point:
    """The cheapest of those that are about as right as the best."""
    best = max(point.balanced_accuracy for point in points)
    return min(
        (point for point in points if point.balanced_accuracy >= best - within),
        key=lambda point: (point.second_share, -point.balanced_accuracy, point.margin),
    )


def write_curve(told: Mapping[str, object], path: Path) -> None:
    """Writes the curve as JSON. Raises OSError."""
    path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def write_rows(rows: Sequence[Row], path: Path) -> None:
    """Keeps what both levels said, a line a criterion, for a later replay. Raises OSError."""
    path.write_text("".join(json.dumps(asdict(row)) + "\n" for row in rows), encoding="utf-8")


def read_rows(path: Path) -> list[Row]:
    """What `write_rows` wrote. Raises InvalidRequest with the line that is none."""
    rows = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest("--replay", f"{path}: {error}") from error
    for number, line in enumerate(lines, 1):
        try:
            rows.append(_row(json.loads(line)))
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise InvalidRequest("--replay", f"{path}:{number}: is no recorded verdict: {error}") from None
    return rows


def plot(found: Curve, path: Path) -> None:
    """Draws balanced accuracy over the share of criteria that the second level is asked about."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    shares = [100 * point.second_share for point in found.points]
    axes.plot(shares, [point.balanced_accuracy for point in found.points], marker=".", label="cascade, by margin")
    axes.axhline(found.second_alone, color="#888888", linestyle="--", linewidth=1, label="second level alone")
    chosen = found.chosen
    axes.scatter([100 * chosen.second_share], [chosen.balanced_accuracy], s=90, color="#d62728", zorder=3)
    axes.annotate(
        f"margin {chosen.margin:.2f}",
        (100 * chosen.second_share, chosen.balanced_accuracy),
        textcoords="offset points",
        xytext=(-6, -16),
        horizontalalignment="right",
    )
    axes.set(xlabel="criteria asked of the second level (%)", ylabel="balanced accuracy of the strict bit")
    axes.set_title(f"{found.num_criteria:,} labelled criteria")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _said(row: Row, is_asked: bool, on_failure: str) -> bool | None:
    if not is_asked:
        return row.first
    return row.first if row.second is None and on_failure == "first" else row.second


def _balanced(said: Sequence[bool | None], truth: np.ndarray) -> float:
    """Mean of both recalls; no verdict is a wrong one."""
    hits = np.array([one is not None and one == bool(true) for one, true in zip(said, truth, strict=True)], np.bool_)
    return float((hits[truth].mean() + hits[~truth].mean()) / 2)


def _is_met(label: Label, negative: bool) -> bool:
    return label is not Label.NOT_SATISFIED if negative else label is Label.FULLY_SATISFIED


def _row(values: Mapping[str, object]) -> Row:
    satisfied, first, margin, second = (values[name] for name in ("satisfied", "first", "margin", "second"))
    if not isinstance(satisfied, bool) or not all(one is None or isinstance(one, bool) for one in (first, second)):
        raise ValueError("a bit is true, false or null")
    if isinstance(margin, bool) or not isinstance(margin, int | float) or not 0 <= margin <= 1:
        raise ValueError("a margin lies between 0 and 1")
    return Row(satisfied, first, float(margin), second)  # type: ignore[arg-type]
