"""The promise of the torch engine: a criterion judged in company equals the same criterion judged alone."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from judger.engines.base import VERDICT_TIER, Outcome
from judger.engines.tokens import Tree
from judger.engines.torch.attention import NAME, register
from judger.engines.torch.cascade import Cascade
from judger.engines.torch.engine import TorchEngine
from judger.engines.torch.load import prepare
from judger.types import Criterion, Label, Probabilities, Score
from judger.verdict import score
from tests.judger.engines.generative import tiny

KINDS = ("qwen2", "qwen3", "llama", "mistral", "mistral-window", "gemma", "gemma2", "gemma3", "qwen3-moe", "gpt-oss")
LABELS = (301, 302, 303)
QUICK = settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)


@functools.cache
def pair(kind: str) -> tuple[torch.nn.Module, torch.nn.Module]:
    """The same weights twice: with the cascade's attention and with the model's own."""
    register()
    ours, own = tiny.model(kind), tiny.model(kind)
    ours.set_attn_implementation(NAME)
    return ours, own


def lone_log_probs(model: torch.nn.Module, tree: Tree, wanted: Sequence[int]) -> torch.Tensor:
    rows = []
    with torch.inference_mode():
        for index in wanted:
            logits = model(input_ids=torch.tensor([tree.lone(index)]), use_cache=False).logits[0, -1]
            rows.append(torch.log_softmax(logits.float(), -1)[list(LABELS)])
    return torch.stack(rows)


def ids(length: int) -> st.SearchStrategy[tuple[int, ...]]:
    token = st.integers(2, 1199)
    return st.lists(token, min_size=max(1, length // 2), max_size=length).map(tuple)


def trees(num_branches: int = 5, report: int = 70) -> st.SearchStrategy[Tree]:
    def build(polarities: int) -> st.SearchStrategy[Tree]:
        branch = st.tuples(st.integers(0, polarities - 1), ids(14))
        return st.builds(
            Tree,
            shared=st.sampled_from([(5, 6, 7), (9, 10, 11, 12, 13, 14, 15)]),
            report=ids(report),
            polarities=st.tuples(*[ids(12)] * polarities),
            branches=st.lists(branch, min_size=1, max_size=num_branches).map(tuple),
        )

    return st.integers(1, 2).flatmap(build)


@pytest.mark.parametrize("kind", KINDS)
def test_label_log_probabilities_equal_those_of_the_lone_prompt(kind: str) -> None:
    ours, own = pair(kind)

    @QUICK
    @given(
        forest=st.lists(trees(), min_size=1, max_size=3),
        step_tokens=st.sampled_from([16, 37, 4096]),
        cache_bytes=st.sampled_from([0, 2**26]),
        deterministic=st.booleans(),
    )
    def holds(forest: list[Tree], step_tokens: int, cache_bytes: int, deterministic: bool) -> None:
        cascade = Cascade(ours, step_tokens=step_tokens, cache_bytes=cache_bytes, deterministic=deterministic)
        wanted = [(tree, range(len(tree.branches))) for tree in forest]
        expected = [lone_log_probs(own, tree, indices) for tree, indices in wanted]
        for _ in range(2):  # cold, then warm where there is a cache
            for got, want in zip(cascade.log_probs(wanted, LABELS), expected, strict=True):
                torch.testing.assert_close(got, want, atol=1e-4, rtol=0)

    holds()


@pytest.mark.parametrize("num_branches", [1, 2, 100])
def test_any_number_of_branches_is_exact(num_branches: int) -> None:
    ours, own = pair("qwen3")
    generator = torch.Generator().manual_seed(num_branches)

    def some(count: int) -> tuple[int, ...]:
        return tuple(torch.randint(2, 1200, (count,), generator=generator).tolist())

    branches = tuple((i % 2, some(3 + 7 * i % 40)) for i in range(num_branches))
    tree = Tree(shared=some(20), report=some(300), polarities=(some(9), some(15)), branches=branches)
    (got,) = Cascade(ours, step_tokens=256, cache_bytes=0).log_probs([(tree, range(num_branches))], LABELS)
    torch.testing.assert_close(got, lone_log_probs(own, tree, range(num_branches)), atol=1e-4, rtol=0)


def test_the_prefix_is_computed_once_and_not_again_while_it_is_cached() -> None:
    ours, _ = pair("qwen3")
    branches = tuple((0, (i + 2, i + 3)) for i in range(10))
    tree = Tree(shared=(5, 6), report=tuple(range(10, 110)), polarities=((7, 8, 9),), branches=branches)
    cascade = Cascade(ours, step_tokens=4096, cache_bytes=2**26)
    cascade.log_probs([(tree, range(10))], LABELS)
    assert cascade.num_tokens == tree.tokens == 125
    cascade.log_probs([(tree, range(10))], LABELS)
    assert cascade.num_tokens == 125 + 20
    assert cascade.num_found == 105
    cold = Cascade(ours, step_tokens=4096, cache_bytes=0)
    cold.log_probs([(tree, range(10)), (tree, range(5))], LABELS)
    assert cold.num_tokens == 125 + 10  # the same report twice in a batch is computed once
    assert cold.num_forwards == 1


def test_a_group_shares_instructions_and_query() -> None:
    ours, _ = pair("qwen3")
    group = [
        Tree(shared=tuple(range(50)), report=(i, i + 1, i + 2), polarities=((7,),), branches=((0, (8, 9)),))
        for i in range(2, 10)
    ]
    cascade = Cascade(ours, step_tokens=4096, cache_bytes=0)
    cascade.log_probs([(tree, [0]) for tree in group], LABELS)
    assert cascade.num_tokens == 50 + 8 * (3 + 1 + 2)


def test_the_cache_stays_within_its_budget() -> None:
    ours, _ = pair("qwen3")
    cascade = Cascade(ours, step_tokens=4096, cache_bytes=40_000)
    for start in range(2, 20):
        tree = Tree(shared=(5, 6), report=tuple(range(start, start + 50)), polarities=((7,),), branches=((0, (8, 9)),))
        cascade.log_probs([(tree, [0])], LABELS)
        assert 0 < cascade.cache.nbytes <= 40_000


def test_a_nan_in_one_report_leaves_the_others_alone() -> None:
    model = tiny.model("qwen3")
    engine = TorchEngine(prepare(model, tiny.tokenizer(), name="tiny"))
    poison, clean = tiny.case(2, query="poison", seed=1), tiny.case(3, query="clean", seed=2)
    (expected,) = engine.run([engine.plan(clean, VERDICT_TIER)])
    token = engine.plan(poison, VERDICT_TIER).payload.shared[-3]
    assert token not in engine.plan(clean, VERDICT_TIER).payload.lone(0)
    with torch.no_grad():
        model.get_input_embeddings().weight[token] = float("nan")
    bad, good = engine.run([engine.plan(poison, VERDICT_TIER), engine.plan(clean, VERDICT_TIER)])
    assert {getattr(outcome.result, "reason", None) for outcome in bad} == {"engine_error"}
    for got, want in zip(good, expected, strict=True):
        assert isinstance(got.result, Probabilities)
        assert isinstance(want.result, Probabilities)
        assert abs(got.result.p_full - want.result.p_full) < 1e-5


@pytest.mark.parametrize("cache_bytes", [0, 2**26])
def test_deterministic_mode_gives_the_same_bits_in_any_company(cache_bytes: int) -> None:
    engine = TorchEngine(
        prepare(tiny.model("qwen3"), tiny.tokenizer(), name="tiny"), deterministic=True, cache_bytes=cache_bytes
    )
    subject = engine.plan(tiny.case(5, seed=100, report_words=300), VERDICT_TIER)
    (first,) = engine.run([subject])
    for company in range(8):
        others = [
            engine.plan(tiny.case(1 + i, seed=company + i, report_words=40 * i + 10), VERDICT_TIER)
            for i in range(company % 4)
        ]
        position = company % (len(others) + 1)
        batch = [*others[:position], subject, *others[position:]]
        assert engine.run(batch)[position] == first


@pytest.mark.parametrize("cache_bytes", [0, 2**26])
def test_deterministic_mode_gives_the_same_bits_whichever_other_criteria_are_asked(cache_bytes: int) -> None:
    """As when the verdict cache, or another caller's request in flight, holds the rest of a checklist."""
    engine = TorchEngine(
        prepare(tiny.model("qwen3"), tiny.tokenizer(), name="tiny"), deterministic=True, cache_bytes=cache_bytes
    )
    case = tiny.case(6, seed=7, report_words=300)
    (whole,) = engine.run([engine.plan(case, VERDICT_TIER)])
    for asked in ([0], [5], [1, 4], [5, 2, 0], [2, 3, 4, 5]):
        part = replace(case, criteria=tuple(case.criteria[index] for index in asked))
        (outcomes,) = engine.run([engine.plan(part, VERDICT_TIER)])
        assert outcomes == [whole[index] for index in asked]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_verdicts_do_not_change_in_fifty_batch_companies(dtype: torch.dtype) -> None:
    model = tiny.model("qwen3").to(dtype)
    engine = TorchEngine(prepare(model, tiny.tokenizer(), name="tiny"), cache_bytes=0)
    case = tiny.case(5, seed=100, report_words=200)
    subject = engine.plan(case, VERDICT_TIER)
    (first,) = engine.run([subject])
    drift = 0.0
    for company in range(50):
        others = [
            engine.plan(tiny.case(1 + i, seed=company + i, report_words=20 * i + 10), VERDICT_TIER)
            for i in range(1 + company % 3)
        ]
        place = company % (len(others) + 1)
        again = engine.run([*others[:place], subject, *others[place:]])[place]
        drift = max(drift, largest_difference(again, first))
        for criterion, got, want in zip(case.criteria, again, first, strict=True):
            assert label_of(criterion, got) == label_of(criterion, want)
    assert drift < (1e-5 if dtype is torch.float32 else 0.02)


def label_of(criterion: Criterion, outcome: Outcome) -> Label:
    assert isinstance(outcome.result, Probabilities)
    scored = score(outcome.result, negative=criterion.is_negative)
    assert isinstance(scored, Score)
    return scored.label


def largest_difference(some: Sequence[Outcome], others: Sequence[Outcome]) -> float:
    def values(outcome: Outcome) -> tuple[float, ...]:
        assert isinstance(outcome.result, Probabilities)
        return (outcome.result.p_not, outcome.result.p_partial, outcome.result.p_full)

    return max(
        abs(a - b)
        for one, other in zip(some, others, strict=True)
        for a, b in zip(values(one), values(other), strict=True)
    )
