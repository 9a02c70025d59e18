"""Rows that share a report: the served prompts still, with the gradient of the prompts one by one."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from judger.engines.packed import ATTENTION, register
from judger.engines.tokens import Prompter
from tests.judger.engines.generative import tiny
from tests.train.test_generative_samples import END, REASON, labelled
from train.judge.data import DataError
from train.judge.generative import shared
from train.judge.generative.data import Sampler, Taught, key_of
from train.judge.generative.settings import Settings


@pytest.fixture(scope="module")
def samples() -> list[Any]:
    sampler = Sampler(Prompter(tiny.tokenizer(), name="tiny"), end=END)
    cases = [labelled(4, report_words=40, seed=seed) for seed in (0, 1)]
    taught = {key_of(case, criterion): Taught(1, REASON, "") for case in cases for criterion in case.criteria}
    return [*sampler.verdicts(cases), *sampler.explained(cases, taught)]


def test_a_row_holds_each_prompt_and_answer_as_they_are_served(samples: list[Any]) -> None:
    rows = shared.rows_of([(sample, 1.0) for sample in samples], most_tokens=100_000)
    said = []
    for row in rows:
        for (begin, end), count in zip(row.branches, row.which, strict=True):
            ids = tuple(row.ids[: row.prefix] + row.ids[begin:end])
            said.append((ids[: len(ids) - count], ids[len(ids) - count :]))
    assert sorted(said) == sorted((sample.prompt, sample.answer) for sample in samples)
    assert len(rows) < len(samples) / 2
    # The prefix is the whole report, so that a row costs little more than one prompt.
    assert all(row.prefix > 0.5 * len(sample.prompt) for row, sample in zip(rows, samples, strict=False))


def test_a_row_that_would_be_too_long_is_two_and_nothing_is_cut(samples: list[Any]) -> None:
    pairs = [(sample, 1.0) for sample in samples]
    whole = shared.rows_of(pairs, most_tokens=100_000)
    most = max(len(row.ids) for row in whole) - 1
    rows = shared.rows_of(pairs, most_tokens=most)
    assert len(rows) > len(whole)
    assert max(len(row.ids) for row in rows) <= most
    assert len(shared.rows_of(pairs, most_tokens=1)) == len(samples)
    for limit in (most, 1):
        assert sum(len(row.branches) for row in shared.rows_of(pairs, most_tokens=limit)) == len(samples)


@pytest.mark.parametrize("family", ["qwen2", "qwen3", "llama"])
def test_a_row_has_the_loss_and_the_gradient_of_its_prompts_one_by_one(family: str, samples: list[Any]) -> None:
    register()
    weights = [0.5 + 0.1 * place for place in range(len(samples))]
    lone = tiny.model(family).float()
    together = copy.deepcopy(lone)
    together.config._attn_implementation = ATTENTION
    for sample, weight in zip(samples, weights, strict=True):
        ids = torch.tensor([[*sample.prompt, *sample.answer]])
        logits = lone(input_ids=ids).logits[0, len(sample.prompt) - 1 : -1]
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor(sample.answer), reduction="sum")
        (weight * loss).backward()
    for row in shared.rows_of(list(zip(samples, weights, strict=True)), most_tokens=100_000):
        inputs = shared.inputs_of(row)
        found = shared.logits_of(together, inputs)
        loss = torch.nn.functional.cross_entropy(found, inputs["targets"], reduction="none")
        (loss * inputs["weights"]).sum().backward()
    for (name, one), other in zip(lone.named_parameters(), together.parameters(), strict=True):
        scale = float(one.grad.abs().max())
        assert scale > 0
        assert float((one.grad - other.grad).abs().max()) < 1e-4 * max(scale, 1e-3), name


def test_what_is_rare_weighs_more_and_the_mean_is_one(samples: list[Any]) -> None:
    rare = [replace(sample, label=0 if place else 2) for place, sample in enumerate(samples)]
    weights = dict.fromkeys([0, 2], 0.0)
    for sample, weight in shared.weighted(rare, source_power=0.5):
        weights[sample.label] = weight
    assert weights[2] > 3 * weights[0]
    assert sum(weight for _, weight in shared.weighted(rare, source_power=0.5)) == pytest.approx(len(rare))


def test_a_model_whose_prefix_can_not_be_shared_is_refused_with_the_way_out(samples: list[Any], tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / "model", "gemma2")
    with pytest.raises(DataError, match=r"softcap.*--lone-prompts|--lone-prompts"):
        shared.fit(folder, [(sample, 1.0) for sample in samples], tmp_path / "out", Settings(sft_steps=1))
