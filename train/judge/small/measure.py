"""What the tuned model agrees with labels on, beside mini's own reader and the mean of both."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from judger.engines.mini.mix import strict_logit
from train.judge.calibrate import balanced
from train.judge.draw import CLAIM_KINDS
from train.judge.evidence import Shard
from train.judge.measure import satisfied

FEWEST = 15
"""A kind of fewer criteria is not told."""


def measured(shard: Shard, where: list[int], logs: np.ndarray, beside: np.ndarray) -> dict[str, Any]:
    """AUC of the strict bit by sign and kind, of this reader, of mini's (`beside`), and of the mean of both logits."""
    items = [shard.items[i] for i in where]
    turned = np.array([item["turned"] for item in items], np.bool_)
    asked = np.array([item["negative"] for item in items], np.bool_)
    labels = np.array([item["label"] for item in items], np.int64)
    kinds = np.array([item["kind"] for item in items], np.str_)
    negative = asked | turned
    truth = satisfied(np.where(turned, 2 - labels, labels), negative)
    says = {"small": stated(logs, asked, turned), "mini": stated(beside, asked, turned)}
    says["both"] = (says["small"] + says["mini"]) / 2
    claims = np.isin(kinds, sorted(CLAIM_KINDS)) & negative
    parts = {"all": np.ones(len(items), np.bool_), "requirements": ~negative, "flaws": negative}
    parts |= {"claims among themselves": claims, "other flaws among themselves": negative & ~claims}
    for kind in np.unique(kinds):
        for sign, side in (("requirement", ~negative), ("flaw", negative)):
            if ((kinds == kind) & side).sum() >= FEWEST:
                parts[f"{sign}: {kind}"] = (kinds == kind) & side
    return {name: _figures(truth[rows], {who: x[rows] for who, x in says.items()}) for name, rows in parts.items()}


def stated(logs: np.ndarray, asked: np.ndarray, turned: np.ndarray) -> np.ndarray:
    """(n,) log-odds of the strict bit of what the criterion states; a turned flaw is present where it is not met."""
    return np.asarray(np.where(turned, -strict_logit(logs, asked), strict_logit(logs, asked)))


def _figures(truth: np.ndarray, says: dict[str, np.ndarray]) -> dict[str, Any]:
    if not 0 < truth.sum() < len(truth):
        return {"n": len(truth)}
    found: dict[str, Any] = {"n": len(truth)}
    for who, x in says.items():
        found[who] = {"auc": round(float(roc_auc_score(truth, x)), 4), "bal_at_0": round(balanced(x >= 0, truth), 4)}
    return found
