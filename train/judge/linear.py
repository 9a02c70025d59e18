"""The logistic regression beside the trees: one for each sign, what both have in common shared."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression

from judger.engines.mini.linear import Linear

STRENGTH = 0.005
"""C of the regression; chosen with `WIDTH` on folds of tasks, like everything here."""
WIDTH = 4.0
"""What a description is multiplied by: its numbers are small, and would hardly be used beside figures of spread 1."""


def fit_linear(
    figures: np.ndarray, described: np.ndarray, negative: np.ndarray, satisfied: np.ndarray, weights: np.ndarray
) -> Linear:
    """figures (n, f), described (n, k), signs, the strict bit and the rows' weights (n,) -> weights for each sign.

    Each input is there twice, as it is and with the criterion's sign: a sign differs only where the rows say so.
    """
    spread = figures.std(0)
    made = Linear(
        figures.mean(0).astype(np.float32),
        np.where(spread > 1e-6, spread, 1.0).astype(np.float32),
        np.zeros((2, 0), np.float32),
    )
    inputs = np.concatenate([made.scaled(figures), WIDTH * described], 1)
    sign = np.where(negative, -1.0, 1.0)[:, None].astype(np.float32)
    model = LogisticRegression(C=STRENGTH, max_iter=500)
    model.fit(np.concatenate([inputs, inputs * sign], 1), satisfied, sample_weight=weights / weights.mean())
    shared, signed = model.coef_[0].reshape(2, -1)
    each = np.stack([shared + signed, shared - signed])
    each[:, figures.shape[1] :] *= WIDTH
    constant = np.full((2, 1), model.intercept_[0])
    return Linear(made.center, made.spread, np.concatenate([each, constant], 1).astype(np.float32))
