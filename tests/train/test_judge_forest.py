"""Trees of scikit-learn and the same trees as plain arrays."""

from __future__ import annotations

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from judger.engines.mini.forest import Forest
from train.judge.forest import Growth, even_weights, grow, plain_forest


def grown() -> tuple[HistGradientBoostingClassifier, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(800, 6)).astype(np.float32)
    y = x[:, 0] * x[:, 1] + x[:, 2] > 0
    return HistGradientBoostingClassifier(max_iter=30, max_leaf_nodes=12, early_stopping=False).fit(x, y), x


def test_plain_arrays_say_what_scikit_learn_says() -> None:
    model, x = grown()
    assert np.allclose(plain_forest(model)(x), model.decision_function(x), atol=1e-4)


def test_a_forest_comes_back_from_its_tensors() -> None:
    model, x = grown()
    forest = plain_forest(model)
    assert (Forest.of(forest.tensors())(x) == forest(x)).all()


def test_both_sides_weigh_alike_within_a_group_as_far_as_the_cap_allows() -> None:
    groups = np.array(["a"] * 10 + ["b"] * 20)
    truth = np.array([True] * 4 + [False] * 6 + [True] + [False] * 19)
    weights = even_weights(groups, truth)
    assert np.isclose(weights[:4].sum(), weights[4:10].sum())
    assert weights[10] == 3.0


def test_a_forest_follows_the_figure_that_tells() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(400, 5)).astype(np.float32)
    forest = grow(x, x[:, 3] > 0, np.ones(400), Growth(trees=20), 0)
    assert ((forest(x) > 0) == (x[:, 3] > 0)).mean() > 0.95
