"""Which sentences are read for a criterion: those that bear on it, whatever else the report holds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from judger.engines.mini.checkpoint import WEIGHTS, load_tokenizer
from judger.engines.mini.features import PARTS, make_criterion
from judger.engines.mini.selection import FLOOR, PASSAGE_TOKENS, UNITS, scores, select
from judger.engines.mini.text import tokenize

TOKENIZER = load_tokenizer(WEIGHTS / "tokenizer.json")


def ranges(*lengths: int) -> np.ndarray:
    edges = np.cumsum([0, *lengths])
    return np.stack([edges[:-1], edges[1:]], 1).astype(np.int32)


def floats(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def test_the_best_come_first_and_what_is_far_behind_is_left_out() -> None:
    score = floats(0.2, 1.0, FLOOR + 0.01, 0.9, FLOOR - 0.01)
    assert select(score, ranges(5, 5, 5, 5, 5)) == [1, 3, 2]


def test_sentences_and_their_tokens_are_limited() -> None:
    assert select(np.ones(20, np.float32), ranges(*[3] * 20)) == list(range(UNITS))
    long = PASSAGE_TOKENS // 2 - 1
    assert select(floats(1.0, 0.9, 0.8, 0.7), ranges(long, long, long, 1)) == [0, 1]


def test_one_is_read_however_little_it_bears_on_the_criterion() -> None:
    assert select(floats(-0.5, -0.2), ranges(4, 4)) == [1]


def test_what_is_added_changes_the_choice_only_where_it_is_better_itself() -> None:
    rng = np.random.default_rng(0)
    parts = np.array([[1 / 3] * 3 + [0] * 3, [0] * 3 + [1 / 3] * 3], np.float32)
    best, cosine = rng.random((6, 12), np.float32), rng.random((2, 12), np.float32)
    alone = scores(best, cosine, parts)
    worse_best, worse_cosine = 0.3 * rng.random((6, 30), np.float32), 0.3 * rng.random((2, 30), np.float32)
    both = scores(np.concatenate([worse_best, best], 1), np.concatenate([worse_cosine, cosine], 1), parts)
    assert np.allclose(both[:, 30:], alone)
    before = select(alone.max(0), ranges(*[5] * 12))
    after = select(both.max(0), ranges(*[5] * 42))
    assert [unit - 30 for unit in after] == before


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("The mill was built in 1784 by Ann Lee.", 1),
        ("The mill was built in 1784 by Ann Lee. The river flooded it twice.", 2),
        ("Done. The mill was built in 1784 by Ann Lee.", 1),
        (" ".join(f"The mill number {i} was built in {1780 + i} by Ann Lee." for i in range(PARTS + 4)), PARTS),
    ],
)
def test_a_criterion_is_looked_for_sentence_by_sentence(text: str, parts: int) -> None:
    tokens = tokenize(text, TOKENIZER)
    found = make_criterion(text, tokens, torch.randn(len(tokens), 8), torch.zeros(8), np.full(30522, 4, np.float32))
    assert found.parts.shape == (parts, len(tokens))
    assert np.allclose(found.parts.sum(1), 1)
    assert found.part_vectors.shape == (parts, 8)
    assert ((found.parts > 0).sum(0) <= 1).all()
