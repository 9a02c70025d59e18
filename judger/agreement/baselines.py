"""Two judges that cost nothing, to hold a real one against: the majority class, and word overlap.

Word overlap is a logistic regression on how much of a criterion's wording the report contains: one rule for all
sources, as a judge is one rule for all. It is fitted on the very sources it is measured on, but never on the report it
is asked about: the predictions are cross-fitted by report.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from judger.types import Case

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

WINDOW = 80
"""Words of the window in which the overlap must be concentrated."""
STRIDE = 20
FOLDS = 5
TOKEN = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+(?:['’][^\W\d_]+)?")

NUM_FEATURES = 5


@dataclass(frozen=True, slots=True)
class Answers:
    """What a judge said of n criteria."""

    label: Ints
    """[n] 0 not, 1 partially, 2 fully."""
    satisfied: Bools
    """[n] the strict bit."""
    p_satisfied: Floats
    """[n]"""


def overlap(case: Case) -> list[tuple[float, ...]]:
    """Per criterion: the share of its content words in the report, the share in the best window of 80 words, the
    share of its numbers, whether it has numbers, and whether it is negative."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    blocks: dict[str, list[int]] = {}
    words = TOKEN.findall(case.report.lower())
    for place, word in enumerate(words):
        seen = blocks.setdefault(word, [])
        if not seen or seen[-1] != place // STRIDE:
            seen.append(place // STRIDE)
    num_windows = max(1, -(-len(words) // STRIDE))
    windows: dict[str, Ints] = {}  # criteria of one report share many words
    rows: list[tuple[float, ...]] = []
    for criterion in case.criteria:
        tokens = set(TOKEN.findall(criterion.text.lower()))
        # A criterion of nothing but stop words still has its words.
        content = {token for token in tokens if token not in ENGLISH_STOP_WORDS} or tokens
        found = content & blocks.keys()
        hits = np.zeros(num_windows)
        for word in found:
            if word not in windows:
                # A window starts at every block and spans WINDOW // STRIDE of them: it holds what any of them holds.
                starts = np.subtract.outer(np.asarray(blocks[word]), np.arange(WINDOW // STRIDE)).ravel()
                windows[word] = np.unique(starts[starts >= 0])
            hits[windows[word]] += 1
        numbers = {token for token in tokens if token[0].isdigit()}
        rows.append(
            (
                len(found) / max(1, len(content)),
                float(hits.max()) / max(1, len(content)),
                len(numbers & blocks.keys()) / len(numbers) if numbers else 0.0,
                float(bool(numbers)),
                float(criterion.is_negative),
            )
        )
    return rows


def majority_class(human: Ints, human_satisfied: Bools) -> Answers:
    """The answer that people gave most often, to everything. It knows the shares, and nothing of the reports."""
    n = len(human)
    share = float(human_satisfied.mean()) if n else 0.0
    label = int(np.bincount(human, minlength=3).argmax()) if n else 0
    return Answers(np.full(n, label), np.full(n, share > 0.5), np.full(n, share))


def word_overlap(
    features: Floats, human: Ints, human_satisfied: Bools, negative: Bools, reports: Ints, mass: Floats
) -> Answers | None:
    """A logistic regression on `overlap`, cross-fitted by report (5 folds); None where there is only one report.

    It says "satisfied" where its probability lies above the share of satisfied criteria in its training folds: at a
    threshold of 0.5 a weak predictor says the commoner class only.

    Args:
        reports: [n] a number for each report, over all sources.
        mass: [n] the weight of each criterion in the fit.
    """
    from sklearn.model_selection import GroupKFold
    from threadpoolctl import threadpool_limits

    num_reports = len(np.unique(reports))
    if num_reports < 2:
        return None
    # Five numbers a row: several threads spend their time waiting for each other, four times as much on busy cores.
    with threadpool_limits(1):
        return _cross_fitted(
            GroupKFold(n_splits=min(FOLDS, num_reports)).split(features, human, reports),
            features,
            human,
            human_satisfied,
            negative,
            mass,
        )


def _cross_fitted(
    folds: Iterable[tuple[Ints, Ints]],
    features: Floats,
    human: Ints,
    human_satisfied: Bools,
    negative: Bools,
    mass: Floats,
) -> Answers:
    answers = Answers(np.zeros_like(human), np.zeros_like(negative), np.zeros(len(human)))
    for train, test in folds:
        binary, shares = _fitted(features[train], human_satisfied[train].astype(np.int64), mass[train], features[test])
        satisfied = binary[:, 1] >= shares[1]
        ternary, shares = _fitted(features[train], human[train], mass[train], features[test], num_classes=3)
        relative = ternary / np.maximum(shares, 1e-9)
        answers.p_satisfied[test] = binary[:, 1]
        answers.satisfied[test] = satisfied
        # As in judger.verdict: the strict bit leaves one label, or a pair of which the likelier is taken.
        low = np.where(negative[test], 1, 0)
        rows = np.arange(len(test))
        either = low + (relative[rows, low + 1] > relative[rows, low])
        alone = np.where(negative[test], 0, 2)
        answers.label[test] = np.where(satisfied == negative[test], either, alone)
    return answers


def _fitted(
    features: Floats, target: Ints, mass: Floats, unseen: Floats, *, num_classes: int = 2
) -> tuple[Floats, Floats]:
    """[m, num_classes] probabilities for the unseen rows, and each class's share of the training mass."""
    from sklearn.linear_model import LogisticRegression

    shares = np.bincount(target, weights=mass, minlength=num_classes) / mass.sum()
    probabilities = np.tile(shares, (len(unseen), 1))
    if (shares > 0).sum() > 1:
        model = LogisticRegression(max_iter=1000).fit(features, target, sample_weight=mass / mass.mean())
        probabilities[:] = 0.0
        probabilities[:, model.classes_] = model.predict_proba(unseen)
    return probabilities, shares


__all__ = ["NUM_FEATURES", "Answers", "majority_class", "overlap", "word_overlap"]
