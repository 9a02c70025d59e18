"""Trees on the figures: grown by scikit-learn, balanced within sources and kinds, turned into plain arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from judger.engines.mini.forest import Forest


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """Settings of the boosting."""

    trees: int = 250
    learning_rate: float = 0.04
    leaves: int = 12
    ridge: float = 10.0
    smallest_leaf: int = 30
    features: float = 0.4
    """Share of the figures that a split may look at."""


def even_weights(groups: np.ndarray, satisfied: np.ndarray, cap: float = 3.0) -> np.ndarray:
    """(n,) so that both sides weigh alike within a group, as far as `cap` allows."""
    weights = np.ones(len(groups))
    for group in np.unique(groups):
        here = groups == group
        for side in (False, True):
            rows = here & (satisfied == side)
            if rows.any():
                weights[rows] = np.clip(0.5 * here.sum() / rows.sum(), 1 / cap, cap)
    return weights


def grow(figures: np.ndarray, satisfied: np.ndarray, weights: np.ndarray, growth: Growth, seed: int) -> Forest:
    """figures (n, f), the strict bit (n,) and the rows' weights (n,) -> trees for the bit's logit."""
    model = HistGradientBoostingClassifier(
        max_iter=growth.trees,
        learning_rate=growth.learning_rate,
        max_leaf_nodes=growth.leaves,
        l2_regularization=growth.ridge,
        min_samples_leaf=growth.smallest_leaf,
        max_features=growth.features,
        early_stopping=False,
        random_state=seed,
    ).fit(figures, satisfied, sample_weight=weights / weights.mean())
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
