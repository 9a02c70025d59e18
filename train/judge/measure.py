"""Stage six: what the judge agrees with labels on: by source, and of rubrics by sign and kind."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations
from typing import Any

import numpy as np
from sklearn.metrics import f1_score, roc_auc_score

from judger.verdict import Calibration
from train.judge.calibrate import balanced, margins
from train.judge.draw import CLAIM_KINDS

BINS = 15


def agreement(
    p: np.ndarray, labels: np.ndarray, negative: np.ndarray, calibration: Calibration, keep: np.ndarray | None = None
) -> dict[str, Any]:
    """Balanced accuracy, AUC and calibration error of the strict bit, and macro-F1 of three labels, of rows kept."""
    rows = np.ones(len(labels), np.bool_) if keep is None else keep
    margin, truth = margins(p, negative, calibration)[rows], satisfied(labels, negative)[rows]
    above = np.where(negative, p[:, 1] + p[:, 2], p[:, 2])[rows]
    both = bool(0 < truth.sum() < len(truth))
    three = labels[rows]
    return {
        "n": len(truth),
        "balanced_accuracy": balanced(margin >= 0, truth) if both else None,
        "auc": float(roc_auc_score(truth, margin)) if both else None,
        "ece": expected_calibration_error(above, truth) if len(truth) else None,
        "ternary_macro_f1": float(f1_score(three, p[rows].argmax(1), average="macro")) if (three == 1).any() else None,
        "positive_rate": float((margin >= 0).mean()) if len(truth) else None,
        "human_positive_rate": float(truth.mean()) if len(truth) else None,
    }


def satisfied(labels: np.ndarray, negative: np.ndarray) -> np.ndarray:
    """The strict bit."""
    return np.asarray(np.where(negative, labels >= 1, labels == 2))


def by_kind(
    p: np.ndarray, labels: np.ndarray, negative: np.ndarray, kinds: np.ndarray, calibration: Calibration
) -> dict[str, Any]:
    """Figures over all, by sign, of claims among themselves, of other flaws among themselves, and by kind and sign."""
    claims = np.isin(kinds, sorted(CLAIM_KINDS)) & negative
    parts = {
        "all": np.ones(len(labels), np.bool_),
        "requirements": ~negative,
        "flaws": negative,
        "claims among themselves": claims,
        "other flaws among themselves": negative & ~claims,
    }
    for kind in np.unique(kinds):
        for sign, side in (("requirement", ~negative), ("flaw", negative)):
            rows = (kinds == kind) & side
            if rows.sum() >= 15:
                parts[f"{sign}: {kind}"] = rows
    return {name: agreement(p, labels, negative, calibration, rows) for name, rows in parts.items()}


def rank_agreement(tasks: list[str], truth: np.ndarray, said: np.ndarray) -> dict[str, float]:
    """Of the pairs of reports of one task that the labels order, the share that is ordered the same; ties are half."""
    by_task: dict[str, list[int]] = defaultdict(list)
    for row, task in enumerate(tasks):
        by_task[task].append(row)
    same = count = 0.0
    for rows in by_task.values():
        for a, b in combinations(rows, 2):
            if truth[a] != truth[b]:
                gap = (said[a] - said[b]) * np.sign(truth[a] - truth[b])
                same += 0.5 if gap == 0 else float(gap > 0)
                count += 1
    return {"pairs": count, "same": same / count if count else float("nan")}


def coverage(
    p: np.ndarray, labels: np.ndarray, negative: np.ndarray, hard: np.ndarray, calibration: Calibration
) -> list[dict[str, float]]:
    """Balanced accuracy of what is kept as more is left open: of criteria taken for hard, the least sure first."""
    margin, truth = margins(p, negative, calibration), satisfied(labels, negative)
    order = np.flatnonzero(hard)[np.argsort(np.abs(margin[hard]), kind="stable")]
    found = []
    for share in (0.0, 0.05, 0.1, 0.15, 0.2, 0.3):
        kept = np.ones(len(labels), np.bool_)
        kept[order[: int(share * len(labels))]] = False
        found.append(
            {"left_open": float(1 - kept.mean()), "balanced_accuracy": balanced(margin[kept] >= 0, truth[kept])}
        )
    return found


def expected_calibration_error(p: np.ndarray, truth: np.ndarray) -> float:
    """Over `BINS` bins of equal size: the mean distance of confidence and frequency."""
    order = np.argsort(p, kind="stable")
    parts = np.array_split(order, BINS)
    return float(sum(len(part) * abs(p[part].mean() - truth[part].mean()) for part in parts if len(part)) / len(p))
