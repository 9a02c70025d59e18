"""Trees of scikit-learn and the same trees as plain arrays."""

from __future__ import annotations

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from judger.engines.mini.compute import blend
from judger.engines.mini.features import NAMES
from judger.engines.mini.forest import Forest
from judger.engines.mini.model import OMISSION
from train.judge.forest import plain_forest


def grown() -> tuple[HistGradientBoostingClassifier, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(800, len(NAMES))).astype(np.float32)
    x[:, OMISSION] = 0
    y = x[:, 0] * x[:, 1] + x[:, 2] > 0
    return HistGradientBoostingClassifier(max_iter=30, max_leaf_nodes=12, early_stopping=False).fit(x, y), x


def test_plain_arrays_say_what_scikit_learn_says() -> None:
    model, x = grown()
    assert np.allclose(plain_forest(model)(x), model.decision_function(x), atol=1e-4)


def test_a_forest_comes_back_from_its_tensors() -> None:
    model, x = grown()
    forest = plain_forest(model)
    assert (Forest.of(forest.tensors())(x) == forest(x)).all()


def test_the_blend_is_a_distribution_and_turns_with_an_omission() -> None:
    model, x = grown()
    forest = plain_forest(model)
    rng = np.random.default_rng(1)
    logs = np.log(rng.dirichlet(np.ones(3), len(x))).astype(np.float32)
    p = blend(logs, x, forest)
    assert np.allclose(p.sum(1), 1, atol=1e-5)
    sure = forest(x) > 2
    assert (p[sure, 2] > np.exp(logs[sure, 2]) - 1e-6).mean() > 0.9
    turned = x.copy()
    turned[:, OMISSION] = 1
    assert np.allclose(blend(logs[:, ::-1], turned, forest)[:, ::-1], p, atol=0.3)
    assert np.allclose(blend(logs, x, None), np.exp(logs), atol=1e-6)
