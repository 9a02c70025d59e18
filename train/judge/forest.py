"""Trees on the figures: grown by scikit-learn, balanced as the reader's draws are, turned into plain arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from judger.engines.mini.features import NAMES
from judger.engines.mini.forest import Forest
from train.judge.fit import Source

OMISSION = NAMES.index("omission")


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """Settings of the boosting."""

    trees: int = 400
    learning_rate: float = 0.05
    leaves: int = 16
    ridge: float = 10.0
    smallest_leaf: int = 40
    cap: int = 1_500
    synthetic_share: float = 0.25


def grow(all_: Sequence[Source], growth: Growth, seed: int) -> Forest:
    """Trees for the strict bit of the core (an omission's turned round); classes alike within each source."""
    figures, truths, weights, made = [], [], [], []
    for s in all_:
        rows = np.flatnonzero(s.split == "train")
        turned = s.shard.figures[rows, OMISSION] > 0.5
        # Of an omission the core is fully there exactly where the omission is not.
        truth = np.where(turned, s.labels[rows] == 0, s.satisfied[rows])
        if not 0 < truth.sum() < len(truth):
            continue
        share = np.where(truth, 0.5 / truth.sum(), 0.5 / (~truth).sum())
        figures.append(s.shard.figures[rows])
        truths.append(truth)
        weights.append(share * min(len(rows), growth.cap) ** 0.5)
        made.append(np.full(len(rows), s.synthetic))
    x, y, w, synthetic = (np.concatenate(part) for part in (figures, truths, weights, made))
    if synthetic.any():
        w[synthetic] *= growth.synthetic_share / w[synthetic].sum()
        w[~synthetic] *= (1 - growth.synthetic_share) / w[~synthetic].sum()
    model = HistGradientBoostingClassifier(
        max_iter=growth.trees,
        learning_rate=growth.learning_rate,
        max_leaf_nodes=growth.leaves,
        l2_regularization=growth.ridge,
        min_samples_leaf=growth.smallest_leaf,
        early_stopping=False,
        random_state=seed,
    ).fit(x, y, sample_weight=w / w.mean())
    return plain_forest(model)


def plain_forest(model: HistGradientBoostingClassifier) -> Forest:
    """The model as arrays. Its features must be numeric."""
    nodes = [tree[0].nodes for tree in model._predictors]
    starts = np.cumsum([0, *(len(n) for n in nodes)])
    every = np.concatenate(nodes)
    offset = np.repeat(starts[:-1], [len(n) for n in nodes])
    leaf = every["is_leaf"].astype(bool)
    own = np.arange(len(every))
    return Forest(
        feature=np.where(leaf, 0, every["feature_idx"]).astype(np.int32),
        threshold=np.where(leaf, 0, every["num_threshold"]).astype(np.float32),
        left=np.where(leaf, own, every["left"] + offset).astype(np.int32),
        right=np.where(leaf, own, every["right"] + offset).astype(np.int32),
        value=np.where(leaf, every["value"], 0).astype(np.float32),
        root=starts[:-1].astype(np.int32),
        base=float(np.ravel(model._baseline_prediction)[0]),
        depth=int(every["depth"].max()),
    )
