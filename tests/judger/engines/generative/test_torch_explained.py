"""The torch engine's explained tier: writing on shared prefixes equals writing alone; reading what was written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from judger.engines.base import Tier
from judger.engines.torch.attention import NAME, register
from judger.engines.torch.cascade import Cascade, Guide
from judger.engines.torch.engine import TorchEngine
from judger.engines.torch.load import prepare
from judger.types import Explain, Probabilities, Reason, Unscored
from tests.judger.engines.generative import tiny

WRITTEN = " The report says so.\nQuote: the report names\n"


@pytest.mark.parametrize("kind", ["qwen3", "gemma3"])
@pytest.mark.parametrize("cache_bytes", [0, 2**26])
def test_branches_written_together_equal_those_written_alone(kind: str, cache_bytes: int) -> None:
    register()
    ours, own = tiny.model(kind), tiny.model(kind)
    ours.set_attn_implementation(NAME)
    prompter = TorchEngine(prepare(tiny.model(kind), tiny.tokenizer(), name="tiny"))._prompter
    tree = prompter.tree(tiny.case(4, report_words=40), explain=True)
    cascade = Cascade(ours, step_tokens=100, cache_bytes=cache_bytes)
    stop_id = 50
    written = cascade.write(tree, range(4), max_tokens=12, guide=lambda ids: None if ids[-1] < stop_id else ids[-1:])
    for index, got in enumerate(written):
        ids, alone = list(tree.lone(index)), []
        with torch.inference_mode():
            while len(alone) < 12 and not (alone and alone[-1] < stop_id):
                alone.append(int(own(input_ids=torch.tensor([ids + alone]), use_cache=False).logits[0, -1].argmax()))
        assert list(got) == alone


class Scripted:
    """Stands in for the model's writing alone; everything else of the cascade is real."""

    def __init__(self, engine: TorchEngine, text: str) -> None:
        self.engine, self.text = engine, text
        self.seeds: list[int] = []

    def __call__(
        self, tree: Any, wanted: Sequence[int], *, guide: Guide, seed: int, **others: Any
    ) -> list[tuple[int, ...]]:
        self.seeds.append(seed)
        return [self.engine._prompter.plain(self.text) for _ in wanted]


def scripted(text: str, monkeypatch: pytest.MonkeyPatch) -> tuple[TorchEngine, Scripted]:
    engine = TorchEngine(prepare(tiny.model("qwen3"), tiny.tokenizer(), name="tiny"))
    script = Scripted(engine, text)
    monkeypatch.setattr(engine._cascade, "write", script)
    return engine, script


def test_a_reason_precedes_the_verdict_and_its_quote_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, script = scripted(WRITTEN, monkeypatch)
    case = tiny.case(3)
    (outcomes,) = engine.run([engine.plan(case, Tier(explain=Explain.ALWAYS, trials=3))])
    for outcome in outcomes:
        assert isinstance(outcome.result, Probabilities)
        assert outcome.rationale == "The report says so."
        (span,) = outcome.evidence
        assert case.report[span.start : span.end] == "the report names"
    assert script.seeds == [0, 1, 2]


def test_a_reason_off_the_format_is_unparsable(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, _ = scripted("rambling without an end", monkeypatch)
    (outcomes,) = engine.run([engine.plan(tiny.case(2), Tier(explain=Explain.ALWAYS))])
    assert [outcome.result.reason for outcome in outcomes if isinstance(outcome.result, Unscored)] == [
        Reason.UNPARSABLE
    ] * 2


def test_under_a_margin_only_close_verdicts_are_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, _ = scripted(WRITTEN, monkeypatch)
    case = tiny.case(4)
    (none,) = engine.run([engine.plan(case, Tier(explain=Explain.UNDER_MARGIN, explain_margin=0.0))])
    assert all(outcome.rationale is None for outcome in none)
    assert all(isinstance(outcome.result, Probabilities) for outcome in none)
    (every,) = engine.run([engine.plan(case, Tier(explain=Explain.UNDER_MARGIN, explain_margin=1.0))])
    assert all(outcome.rationale for outcome in every)


def test_writing_is_repeatable_and_trials_differ() -> None:
    engine = TorchEngine(prepare(tiny.model("qwen3"), tiny.tokenizer(), name="tiny"), reason_tokens=8)
    tree = engine._prompter.tree(tiny.case(2), explain=True)

    def sample(seed: int) -> list[tuple[int, ...]]:
        return engine._cascade.write(
            tree, range(2), max_tokens=8, guide=lambda ids: ids[-1:], temperature=1.0, seed=seed
        )

    assert sample(1) == sample(1)
    assert sample(1) != sample(2)


@pytest.mark.parametrize("deterministic", [False, True])
def test_what_is_sampled_for_a_criterion_does_not_depend_on_the_others(deterministic: bool) -> None:
    engine = TorchEngine(
        prepare(tiny.model("qwen3"), tiny.tokenizer(), name="tiny"), reason_tokens=8, deterministic=deterministic
    )
    tree = engine._prompter.tree(tiny.case(4), explain=True)

    def sample(wanted: Sequence[int]) -> dict[int, tuple[int, ...]]:
        written = engine._cascade.write(
            tree,
            wanted,
            max_tokens=8,
            guide=lambda ids: None if ids[-1] % 5 == 0 else ids[-1:],
            temperature=1.0,
            seed=3,
        )
        return dict(zip(wanted, written, strict=True))

    together = sample(range(4))
    assert len(set(together.values())) == 4
    for wanted in ([2], [3, 0], [1, 2, 3]):
        assert sample(wanted) == {index: together[index] for index in wanted}


@pytest.mark.parametrize("explain", [Explain.ALWAYS, Explain.UNDER_MARGIN])
def test_a_reason_without_room_behind_its_prompt_is_too_long_with_both_counts(
    explain: Explain, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, script = scripted(WRITTEN, monkeypatch)
    case = tiny.case(3)
    tree = engine._prompter.tree(case, explain=True)
    most = [tree.lone_tokens(index) + engine._reason_tokens + len(engine._prompter.labels.cue) for index in range(3)]
    engine._limit = limit = sorted(most)[1]
    (outcomes,) = engine.run([engine.plan(case, Tier(explain=explain, explain_margin=1.0))])
    for outcome, count in zip(outcomes, most, strict=True):
        if count > limit:
            why = f"prompt and reason take {count} tokens, the limit is {limit}"
            assert outcome.result == Unscored(Reason.TOO_LONG, why)
        else:
            assert isinstance(outcome.result, Probabilities)
    assert sum(count > limit for count in most) == 1
    assert len(script.seeds) == 1


def test_the_tokens_of_both_tiers_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, _ = scripted(WRITTEN, monkeypatch)
    case = tiny.case(2)
    plain, always, under = (
        engine.run([engine.plan(case, tier)])[0]
        for tier in (
            Tier(),
            Tier(explain=Explain.ALWAYS),
            Tier(explain=Explain.UNDER_MARGIN, explain_margin=1.0),
        )
    )
    for one, two, both in zip(plain, always, under, strict=True):
        assert 0 < two.shared_tokens < two.prompt_tokens
        assert both.prompt_tokens == one.prompt_tokens + two.prompt_tokens
        assert both.shared_tokens == one.shared_tokens + two.shared_tokens
