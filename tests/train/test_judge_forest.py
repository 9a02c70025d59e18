"""Trees of scikit-learn and the same trees as plain arrays; the regression beside them."""

from __future__ import annotations

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from judger.engines.mini.forest import Forest
from judger.engines.mini.linear import Linear
from train.judge.forest import Growth, even_weights, grow, plain_forest
from train.judge.linear import fit_linear


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


def test_the_regression_finds_what_tells_and_what_the_sign_changes() -> None:
    rng = np.random.default_rng(1)
    figures = rng.normal(3, 5, size=(2_000, 4)).astype(np.float32)
    figures[:, 3] = 7  # tells nothing, and has no spread
    described, negative = rng.normal(0, 0.1, size=(2_000, 3)).astype(np.float32), rng.random(2_000) < 0.4
    common, by_sign = figures[:, 0] - 3, np.where(negative, -1, 1) * (figures[:, 1] - 3)
    truth = common + by_sign + 40 * described[:, 2] > 0
    linear = fit_linear(figures, described, negative, truth, np.ones(2_000))
    logit = linear(figures, described, negative)
    assert ((logit > 0) == truth).mean() > 0.9
    back = Linear.of(linear.tensors())
    assert (back(figures, described, negative) == logit).all()
    far = np.full((1, 4), 1e6, np.float32)
    assert np.abs(linear(far, described[:1], [False])).max() < 50


def test_a_requirement_and_a_flaw_have_weights_of_their_own() -> None:
    linear = Linear(np.zeros(1, np.float32), np.ones(1, np.float32), np.array([[1, 10, 0.5], [-1, 20, 0]], np.float32))
    found = linear(np.array([[2], [2], [9]], np.float32), np.array([[1], [1], [0]], np.float32), [False, True, True])
    assert found.tolist() == [2 + 10 + 0.5, -2 + 20, -4]
