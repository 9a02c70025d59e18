"""Which of vLLM's data-parallel copies has a report. vLLM itself is tested by `make test-vllm`."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from judger.engines.tokens import Prompter
from judger.engines.vllm import copy_of
from tests.judger.engines.generative import tiny


def test_a_report_stays_with_one_copy_and_reports_are_spread_over_all() -> None:
    prompter = Prompter(tiny.tokenizer(), name="tiny")
    cases = [replace(tiny.case(2, seed=seed), report=f"{seed} {tiny.words(20, seed)}") for seed in range(200)]
    counts = Counter(copy_of(prompter.tree(case), 4) for case in cases)
    assert set(counts) == {0, 1, 2, 3}
    assert min(counts.values()) > 25
    for case in cases[:5]:
        others = replace(case, criteria=tiny.case(3, seed=77).criteria)
        again = {copy_of(tree, 4) for tree in map(prompter.tree, (case, others))}
        assert again == {copy_of(prompter.tree(case, explain=True), 4)}


def test_a_single_copy_is_left_to_vllm() -> None:
    assert copy_of(Prompter(tiny.tokenizer(), name="tiny").tree(tiny.case(1)), 1) is None
