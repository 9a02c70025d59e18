"""Every engine under every attack: a sound verdict for each criterion or a reason why not; nothing cut, no crash."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Iterator

import pytest

from judger.engines.base import Engine, SelfBatching
from judger.engines.openai import OpenAIEngine
from judger.engines.scripted import ScriptedEngine
from judger.engines.torch import TorchEngine
from judger.engines.torch.load import prepare
from judger.judge import Judge
from judger.prompt.fence import FenceKey
from judger.steering import flag_name
from judger.types import Case, Criterion, Judgement, Options, Reason, Score, Unscored
from tests.adversarial import corpus
from tests.judger.engines.generative import tiny
from tests.judger.engines.generative.endpoint import Endpoint, completion, failure, serving

KEY = FenceKey(b"the key of these tests, nobody's secret")
CRITERIA = (
    "The report names a cause for the fall of the price of wind power.",
    "It compares what onshore and offshore wind power cost.",
    "The report gives the wrong year for the price that it names.",
)
REPORT = "A megawatt hour of wind power costs 40 euros.\n\nIt cost 90 in 2010; since then turbines grew."
PATIENCE = 900.0
"""Seconds, also for a test: what is asked is answered on any machine, however busy."""
LONGEST = 4000
"""Tokens or words that the small model and the endpoint take."""


def case(report: str = REPORT) -> Case:
    criteria = tuple(
        Criterion(id=f"c{i}", text=text, weight=-1.0 if i == 2 else 1.0) for i, text in enumerate(CRITERIA)
    )
    return Case(id="case", query="What does wind cost?", report=report, criteria=criteria)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    """A model that takes `LONGEST` words and answers by the prompt's length."""
    with serving() as made:

        def answer(request: dict[str, object]) -> tuple[int, dict[str, object]]:
            messages = request["messages"]
            assert isinstance(messages, list)
            length = sum(len(message["content"]) for message in messages)
            if length > 4 * LONGEST:
                return failure(400, f"This model's maximum context length is {LONGEST} tokens")
            word = ("not", "partially", "fully")[length % 3]
            return completion(json.dumps({"verdict": word}) if "response_format" in request else word)

        made.answer = answer
        yield made


@pytest.fixture(scope="module")
def torch_engine() -> TorchEngine:
    model = tiny.model("qwen3", max_position_embeddings=LONGEST)
    return TorchEngine(prepare(model, tiny.tokenizer(), name="tiny"), fence=KEY)


@pytest.fixture(params=["scripted", "torch", "openai"])
async def judge(request: pytest.FixtureRequest) -> AsyncIterator[Judge]:
    engine: Engine | SelfBatching
    match request.param:
        case "scripted":
            engine = ScriptedEngine()
        case "torch":
            engine = request.getfixturevalue("torch_engine")
        case _:
            url = request.getfixturevalue("endpoint").url
            engine = OpenAIEngine("org/teacher", base_url=url, max_retries=0, timeout=PATIENCE, fence=KEY)
    made = Judge(engine)
    yield made
    await made.close()


def is_sound(judgement: Judgement) -> bool:
    """Whether each criterion has a distribution, or a reason why not."""
    for verdict in judgement.verdicts:
        if isinstance(verdict.result, Score):
            p = (verdict.result.p_not, verdict.result.p_partial, verdict.result.p_full)
            if not (all(0 <= value <= 1 for value in p) and math.isclose(sum(p), 1.0, abs_tol=1e-6)):
                return False
        elif not verdict.result.detail:
            return False
    return [verdict.criterion_id for verdict in judgement.verdicts] == [c.id for c in case().criteria]


@pytest.mark.timeout(PATIENCE)
async def test_an_attack_gets_a_sound_verdict_for_each_criterion_and_its_flag(judge: Judge) -> None:
    attacks = [*corpus.texts(), *corpus.echoes()]
    judged = await asyncio.gather(*(judge.judge(case(attack.apply(REPORT, CRITERIA))) for attack in attacks))
    for attack, judgement in zip(attacks, judged, strict=True):
        assert is_sound(judgement), attack.name
        assert all(isinstance(verdict.result, Score) for verdict in judgement.verdicts), (attack.name, judgement)
        assert not attack.flag or attack.flag in map(flag_name, judgement.flags), attack.name


@pytest.mark.timeout(PATIENCE)
async def test_a_flood_is_judged_whole_or_too_long(judge: Judge) -> None:
    attacks = corpus.floods(80_000)
    judged = await asyncio.gather(*(judge.judge(case(attack.apply(REPORT, CRITERIA))) for attack in attacks))
    for attack, judgement in zip(attacks, judged, strict=True):
        assert is_sound(judgement), attack.name
        assert "repetition" in map(flag_name, judgement.flags), attack.name
        reasons = [verdict.result.reason for verdict in judgement.verdicts if isinstance(verdict.result, Unscored)]
        if judge.engine.identity.engine == "openai":
            assert reasons == [Reason.TOO_LONG] * 3, attack.name
        elif judge.engine.identity.engine == "scripted":
            assert not reasons, attack.name
        else:
            assert reasons in ([], [Reason.TOO_LONG] * 3), attack.name
            used = judgement.usage.prompt_tokens
            assert reasons or used > 3 * 1000, (attack.name, used)
        assert (judgement.reward.value is None) == bool(reasons)


@pytest.mark.timeout(PATIENCE)
async def test_a_flood_over_the_limit_is_too_long_with_both_counts(torch_engine: TorchEngine) -> None:
    judge = Judge(torch_engine)
    flood = next(attack for attack in corpus.floods(80_000) if attack.name == "flood-word")
    for explain in ("never", "always"):
        judged = await judge.judge(case(flood.apply(REPORT, CRITERIA)), Options(explain=explain))  # type: ignore[arg-type]
        for verdict in judged.verdicts:
            assert isinstance(verdict.result, Unscored)
            assert verdict.result.reason is Reason.TOO_LONG
            assert str(LONGEST) in verdict.result.detail
    await judge.close()


@pytest.mark.timeout(PATIENCE)
async def test_a_retry_of_an_attack_is_answered_alike(judge: Judge) -> None:
    for attack in corpus.texts()[::9]:
        one = case(attack.apply(REPORT, CRITERIA))
        first, second = await judge.judge(one), await judge.judge(one)
        assert first.flags == second.flags
        for before, after in zip(first.verdicts, second.verdicts, strict=True):
            assert isinstance(before.result, Score)
            assert isinstance(after.result, Score)
            assert before.result.p_full == pytest.approx(after.result.p_full, abs=1e-5)
