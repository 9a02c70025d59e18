"""The measurements of mid-training, against models whose answers are known."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from tests.train.lm.toy import Toy
from train.lm.probes import DEPTHS, FACTS, loss_by_position, make_probes, retrieval_accuracy


class Fixed:
    """Logits computed from the ids by a function, in place of a network."""

    device = torch.device("cpu")

    def __init__(self, logits) -> None:
        self._logits = logits

    def __call__(self, ids, logits_to_keep, use_cache):
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        return SimpleNamespace(logits=self._logits(ids)[:, kept])


@pytest.fixture(scope="module")
def probes(tokenizer):
    toy = Toy(seed=9)
    return make_probes(tokenizer, [toy.text() for _ in range(60)], context=300, count=20, seed=0)


def test_each_probe_fills_its_length_and_holds_its_answer_once_at_its_depth(probes, tokenizer):
    assert len(probes) == 20
    assert {probe.depth for probe in probes} == set(DEPTHS)
    for probe in probes:
        assert 250 <= len(probe.ids) <= 300
        assert len(set(probe.choices)) == FACTS
        place = [i for i, token in enumerate(probe.ids) if token == probe.choices[probe.right]]
        assert any(abs(i / len(probe.ids) - probe.depth) < 0.2 for i in place)


def test_a_model_that_looks_up_the_sentence_is_right_and_one_that_knows_nothing_is_at_chance(probes, tokenizer):
    def look_up(ids):
        row = ids[0].tolist()
        question = row[len(row) - row[::-1].index(tokenizer("\n")["input_ids"][0]) :]
        start = next(i for i in range(len(row)) if row[i : i + len(question)] == question)
        logits = torch.zeros(1, len(row), len(tokenizer))
        logits[0, -1, row[start + len(question)]] = 1.0
        return logits

    assert retrieval_accuracy(Fixed(look_up), probes)["all"] == 1.0
    draw = torch.Generator().manual_seed(0)
    guess = Fixed(lambda ids: torch.rand(1, ids.shape[1], len(tokenizer), generator=draw))
    hits = [retrieval_accuracy(guess, probes)["all"] for _ in range(20)]
    assert abs(sum(hits) / len(hits) - 1 / FACTS) < 0.06


def test_loss_by_position_is_that_of_the_tokens_in_each_bin():
    def knows_the_first_half(ids):
        logits = torch.zeros(1, ids.shape[1], 16)
        for i in range(min(ids.shape[1] - 1, 3)):
            logits[0, i, ids[0, i + 1]] = 100.0
        return logits

    table = loss_by_position(Fixed(knows_the_first_half), [[1] * 8, [2] * 6], context=8, bins=2)
    assert [(row["from"], row["to"], row["tokens"]) for row in table] == [(0, 4, 6.0), (4, 8, 6.0)]
    assert table[0]["loss"] == pytest.approx(0.0, abs=1e-6)
    assert table[1]["loss"] == pytest.approx(torch.log(torch.tensor(16.0)).item())
