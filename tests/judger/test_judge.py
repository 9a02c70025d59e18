"""The whole path with the scripted engine: joining, verdicts, reward, identity."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from judger.engines.base import Capabilities, Identity, Outcome, Tier
from judger.engines.scripted import ScriptedEngine
from judger.errors import EngineError, JudgeMismatch, Unsupported
from judger.judge import Judge
from judger.steering.address import anchors, lexicons
from judger.steering.characters import odd_ones
from judger.steering.markup import own_sentences
from judger.types import Case, Criterion, Explain, Label, Options, Probabilities, Reason, Role, Score, Unscored
from judger.verdict import IDENTITY, Calibration


@pytest.fixture
async def judge() -> AsyncIterator[Judge]:
    judge = Judge(ScriptedEngine())
    yield judge
    await judge.close()


def case(*texts: str, name: str = "one", report: str = "A report.") -> Case:
    criteria = tuple(
        Criterion(id=f"c{i}", text=text.lstrip("-"), weight=-1.0, role=Role.NEGATIVE)
        if text.startswith("-")
        else Criterion(id=f"c{i}", text=text)
        for i, text in enumerate(texts)
    )
    return Case(id=name, query="Why?", report=report, criteria=criteria)


def labels(verdicts: object) -> list[Label | Reason]:
    return [
        one.result.label if isinstance(one.result, Score) else one.result.reason  # type: ignore[attr-defined]
        for one in verdicts  # type: ignore[attr-defined]
    ]


async def test_a_case_comes_back_with_a_verdict_per_criterion_in_order_and_a_reward(judge: Judge) -> None:
    result = await judge.judge(case("[[fully]]", "[[not]]", "[[partially]]", "-[[partially]]"))
    assert labels(result.verdicts) == [
        Label.FULLY_SATISFIED,
        Label.NOT_SATISFIED,
        Label.PARTIALLY_SATISFIED,
        Label.PARTIALLY_SATISFIED,
    ]
    assert [one.criterion_id for one in result.verdicts] == ["c0", "c1", "c2", "c3"]
    assert result.reward.value == pytest.approx((1 - 1) / 3)
    assert (result.case_id, result.judge_id) == ("one", judge.judge_id)


async def test_an_unscored_criterion_keeps_its_reason_and_leaves_no_reward(judge: Judge) -> None:
    result = await judge.judge(case("[[fully]]", "[[unscored=too_long]]"))
    assert labels(result.verdicts) == [Label.FULLY_SATISFIED, Reason.TOO_LONG]
    assert result.reward.value is None


async def test_an_engine_that_gives_nan_is_an_engine_error_and_no_number(judge: Judge) -> None:
    result = await judge.judge(case("[[p=nan,0.5,0.5]]"))
    assert labels(result.verdicts) == [Reason.ENGINE_ERROR]


async def test_identical_criteria_in_flight_are_judged_once(judge: Judge) -> None:
    engine = judge.engine
    assert isinstance(engine, ScriptedEngine)
    results = await asyncio.gather(*[judge.judge(case("alpha", "beta", name=str(i))) for i in range(20)])
    assert sum(criteria for _, criteria in engine.batches) == 2
    assert len({result.verdicts for result in results}) == 1
    assert sum(result.usage.joined_criteria for result in results) == 38


async def test_a_criterion_twice_in_one_rubric_is_judged_once(judge: Judge) -> None:
    engine = judge.engine
    assert isinstance(engine, ScriptedEngine)
    result = await judge.judge(case("alpha", "beta", "alpha"))
    assert engine.batches == [(1, 2)]
    assert result.verdicts[0].result == result.verdicts[2].result


async def test_the_same_text_as_requirement_and_as_flaw_is_judged_twice(judge: Judge) -> None:
    engine = judge.engine
    assert isinstance(engine, ScriptedEngine)
    await judge.judge(case("alpha", "-alpha"))
    assert engine.batches == [(1, 2)]


async def test_a_caller_who_leaves_does_not_end_what_others_wait_for(judge: Judge) -> None:
    slow = case("[[slow=0.2]] alpha")
    first = asyncio.ensure_future(judge.judge(slow))
    await asyncio.sleep(0)
    second = asyncio.ensure_future(judge.judge(slow))
    await asyncio.sleep(0)
    first.cancel()
    result = await second
    assert result.usage.joined_criteria == 1
    assert isinstance(result.verdicts[0].result, Score)
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_other_reports_queries_and_languages_are_not_joined(judge: Judge) -> None:
    engine = judge.engine
    assert isinstance(engine, ScriptedEngine)
    one = case("alpha")
    others = [one, replace(one, report="Other."), replace(one, query="How?"), replace(one, language="en")]
    await asyncio.gather(*[judge.judge(other) for other in others])
    assert sum(criteria for _, criteria in engine.batches) == 4


async def test_a_pin_to_another_judge_is_refused(judge: Judge) -> None:
    judge.check_pin("")
    judge.check_pin(judge.judge_id)
    with pytest.raises(JudgeMismatch):
        judge.check_pin("mini-0000")


async def test_the_judge_id_tells_weights_and_calibration_apart() -> None:
    identity = ScriptedEngine().identity
    ids = {
        identity.judge_id(IDENTITY),
        identity.judge_id(Calibration(temperature=2.0)),
        replace(identity, weights="other").judge_id(IDENTITY),
        replace(identity, prompt="other").judge_id(IDENTITY),
        replace(identity, precision="bfloat16").judge_id(IDENTITY),
    }
    assert len(ids) == 5
    assert identity.judge_id(IDENTITY) == ScriptedEngine().identity.judge_id(IDENTITY)


async def test_asking_for_rationales_of_an_engine_without_them_is_refused_not_ignored(judge: Judge) -> None:
    with pytest.raises(Unsupported, match="explain"):
        judge.check_options(Options(explain=Explain.ALWAYS))


class Remote:
    """An engine that batches by itself."""

    identity = Identity(
        engine="openai", model="m", engine_version="1", weights="m", tokenizer="m", prompt="p", precision="unknown"
    )
    calibration = IDENTITY
    capabilities = Capabilities()

    async def judge(self, case: Case, tier: Tier) -> list[Outcome]:
        if "crash" in case.criteria[0].text:
            raise ConnectionError("gone")
        return [Outcome(result=Probabilities(0.0, 0.0, 1.0)) for _ in case.criteria]

    def close(self) -> None:
        pass


async def test_an_engine_that_batches_by_itself_is_asked_directly_and_its_failures_are_typed() -> None:
    judge = Judge(Remote())
    good = await judge.judge(case("alpha"))
    bad = await judge.judge(case("crash"))
    await judge.close()
    assert labels(good.verdicts) == [Label.FULLY_SATISFIED]
    assert labels(bad.verdicts) == [Reason.ENGINE_ERROR]


async def test_a_judge_that_is_warm_has_nothing_left_to_prepare_for_its_first_report(judge: Judge) -> None:
    lasting = (lexicons, anchors, odd_ones, own_sentences)
    for one in lasting:
        one.cache_clear()
    await judge.warm_up()
    assert [one.cache_info().currsize for one in lasting] == [1] * len(lasting)


async def test_a_warm_up_without_a_verdict_is_an_error() -> None:
    class Mute(Remote):
        async def judge(self, case: Case, tier: Tier) -> list[Outcome]:
            return [Outcome(result=Unscored(Reason.UNPARSABLE, "mumbling")) for _ in case.criteria]

    judge = Judge(Mute())
    with pytest.raises(EngineError, match="mumbling"):
        await judge.warm_up()
    await judge.close()
