"""Stage four: what the judge agrees with people on, by source; and its calibration error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import softmax
from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score

from judger.verdict import Calibration
from train.judge.fit import Source

NOISE = "pubmedqa_pqal"
"""Reported, and not in the mean."""
BINS = 15


def calibrated(logs: np.ndarray, calibration: Calibration) -> np.ndarray:
    """Probabilities (n, 3) from log-probabilities."""
    return np.asarray(softmax((logs + np.array(calibration.bias)) / calibration.temperature, axis=1))


def labels(p: np.ndarray, negative: np.ndarray, calibration: Calibration) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, strict bits and P(satisfied), as `judger.verdict.score` gives them."""
    above = np.where(negative, p[:, 1] + p[:, 2], p[:, 2])
    bit = above >= np.where(negative, calibration.negative_threshold, calibration.positive_threshold)
    low, high = np.where(negative, p[:, 1], p[:, 0]), np.where(negative, p[:, 2], p[:, 1])
    upper = high >= calibration.partial_threshold * np.maximum(low + high, 1e-12)
    label = np.where(negative, np.where(bit, 1 + upper, 0), np.where(bit, 2, upper))
    return label.astype(int), bit, above


def expected_calibration_error(p: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> float:
    """Over `BINS` bins of equal weight: the mean distance of confidence and frequency."""
    order = np.argsort(p, kind="stable")
    p, truth, weights = p[order], truth[order], weights[order] / weights.sum()
    bins = np.minimum((np.cumsum(weights) - weights / 2) * BINS, BINS - 1).astype(int)
    return float(
        sum(
            w * abs((weights[rows] @ p[rows] - weights[rows] @ truth[rows]) / w)
            for b in range(BINS)
            if (w := float(weights[rows := bins == b].sum())) > 0
        )
    )


def measure(all_: list[Source], logs: Mapping[str, np.ndarray], calibration: Calibration) -> dict[str, Any]:
    """Figures by source and their mean over all but the noisy one."""
    rows: dict[str, Any] = {}
    pooled: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for s in all_:
        label, bit, above = labels(calibrated(logs[s.name], calibration), s.negative, calibration)
        truth = s.satisfied
        both = 0 < truth.sum() < len(truth)
        even = np.ones(len(truth)) / len(truth)
        rows[s.name] = {
            "n": len(truth),
            "balanced_accuracy": float(balanced_accuracy_score(truth, bit)) if both else None,
            "auc": float(roc_auc_score(truth, above)) if both else None,
            "ternary_macro_f1": float(f1_score(s.labels, label, average="macro")) if (s.labels == 1).any() else None,
            "ece": expected_calibration_error(above, truth, even),
            "positive_rate": float(bit.mean()),
            "human_positive_rate": float(truth.mean()),
        }
        if s.name != NOISE:
            pooled.append((above, truth, even))
    counted = [row for name, row in rows.items() if name != NOISE and row["balanced_accuracy"] is not None]
    names = ("balanced_accuracy", "auc", "positive_rate", "human_positive_rate")
    mean = {name: float(np.mean([row[name] for row in counted])) for name in names} if counted else {}
    if pooled:
        mean["ece"] = expected_calibration_error(*(np.concatenate(part) for part in zip(*pooled, strict=True)))
    return {"sources": rows, "mean": mean}


def by_kind(
    all_: list[Source], where: Mapping[str, np.ndarray], logs: Mapping[str, np.ndarray], calibration: Calibration
) -> dict[str, Any]:
    """Held-out synthetic pairs by how they were made: the share that is judged as labelled, and by label."""
    rows: dict[str, list[tuple[bool, bool]]] = {}
    for s in all_:
        at = where[s.name]
        _, bit, _ = labels(calibrated(logs[s.name], calibration), s.negative[at], calibration)
        for i, said in zip(at, bit, strict=True):
            rows.setdefault(str(s.shard.items[i]["synthetic"]), []).append((bool(said), bool(s.satisfied[i])))
    found = {}
    for kind, pairs in sorted(rows.items()):
        said, truth = np.array(pairs).T
        recalls = [float((said[truth == side] == side).mean()) for side in (False, True) if (truth == side).any()]
        found[kind] = {
            "n": len(pairs),
            "balanced_accuracy": float(np.mean(recalls)),
            "positive_rate": float(said.mean()),
            "true_positive_rate": float(truth.mean()),
        }
    return found
