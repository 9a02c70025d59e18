"""The cascade: what is clear the first judge settles, what is close goes to the second, failures stay failures."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from judger.config import EngineConfig
from judger.engines import build_engine
from judger.engines.base import VERDICT_TIER, Engine, Outcome, Plan, SelfBatching, Tier
from judger.engines.cascade import CascadeEngine, CascadeSettings, RemoteCascade, make_cascade, read_settings
from judger.engines.cascade.combine import own
from judger.engines.cascade.judges import Member
from judger.engines.scripted import ScriptedEngine
from judger.engines.torch import TorchEngine
from judger.engines.torch.load import prepare
from judger.errors import InvalidRequest, Unavailable
from judger.judge import Judge
from judger.types import Case, Criterion, Probabilities, Reason, Unscored
from judger.verdict import Calibration, score
from tests.judger.engines.generative import tiny

SETTINGS = CascadeSettings(
    margin=0.2, first=(EngineConfig(engine="scripted"),), second=(EngineConfig(engine="scripted"),)
)


class Saying(ScriptedEngine):
    """A scripted judge that says one thing of everything, and remembers what it was asked."""

    def __init__(self, p_full: float, *, broken: bool = False) -> None:
        super().__init__()
        self.identity = replace(self.identity, model=f"says {p_full}")
        self.p_full, self.broken = p_full, broken
        self.asked: list[str] = []

    def run(self, plans: Sequence[Plan]) -> list[list[Outcome]]:
        if self.broken:
            raise RuntimeError("out of order")
        self.asked += [criterion.text for plan in plans for criterion in plan.case.criteria]
        said = Outcome(result=Probabilities(1 - self.p_full, 0.0, self.p_full), prompt_tokens=7)
        return [[said] * len(plan.case.criteria) for plan in plans]


class Remote:
    """The same behind the protocol of engines that batch by themselves."""

    def __init__(self, inner: Saying) -> None:
        self.inner = inner
        self.identity, self.calibration, self.capabilities = inner.identity, inner.calibration, inner.capabilities

    async def judge(self, case: Case, tier: Tier) -> list[Outcome]:
        return self.inner.run([self.inner.plan(case, tier)])[0]

    def close(self) -> None:
        self.inner.close()


def case_of(*texts: str, weight: float = 1.0) -> Case:
    criteria = tuple(Criterion(id=f"c{i}", text=text, weight=weight) for i, text in enumerate(texts))
    return Case(id="1", query="q", report="Propane is a refrigerant. It moves heat.", criteria=criteria)


def cascade_of(*second: Engine | SelfBatching, **update: object) -> CascadeEngine | RemoteCascade:
    settings = SETTINGS.model_copy(update=update)
    members = tuple(Member(engine, engine.calibration) for engine in second)
    first = ScriptedEngine()
    return make_cascade(settings, ((Member(first, first.calibration),), members))


def ran(engine: CascadeEngine | RemoteCascade, case: Case) -> list[Outcome]:
    assert isinstance(engine, CascadeEngine)
    return engine.run([engine.plan(case, VERDICT_TIER)])[0]


CLEAR, CLOSE = "[[p=0.05,0.0,0.95]] clear", "[[p=0.6,0.0,0.4]] close"


def test_only_what_is_close_or_unscored_is_asked_of_the_second() -> None:
    second = Saying(0.9)
    found = ran(cascade_of(second), case_of(CLEAR, CLOSE, "[[unscored=not_judgeable]] open"))
    assert second.asked[1:] == [CLOSE, "[[unscored=not_judgeable]] open"]  # the first one is the proof
    assert [round(one.result.p_full, 6) for one in found if isinstance(one.result, Probabilities)] == [0.95, 0.9, 0.9]
    assert found[1].prompt_tokens > 7, "what both levels read is counted"


def test_one_level_can_be_asked_alone() -> None:
    first, second = Saying(0.99), Saying(0.9)
    levels = ((Member(first, first.calibration),), (Member(second, second.calibration),))
    for level, p in (("first", 0.99), ("second", 0.9)):
        (outcome,) = ran(make_cascade(SETTINGS, levels, level), case_of("x"))
        assert isinstance(outcome.result, Probabilities)
        assert outcome.result.p_full == pytest.approx(p)
    assert (first.asked, second.asked[1:]) == (["x"], ["x"])


def test_all_cases_of_a_batch_make_one_batch_of_the_second() -> None:
    second = ScriptedEngine()
    cascade = cascade_of(second)
    assert isinstance(cascade, CascadeEngine)
    cascade.run([cascade.plan(case_of(CLOSE, CLEAR), VERDICT_TIER) for _ in range(3)])
    assert second.batches == [(1, 1), (3, 3)]


def test_a_failing_second_judge_is_unscored_and_never_the_firsts_guess() -> None:
    second = Saying(0.9)
    cascade = cascade_of(second)
    ran(cascade, case_of(CLEAR))
    second.broken = True
    clear, close = ran(cascade, case_of(CLEAR, CLOSE))
    assert isinstance(clear.result, Probabilities)
    assert isinstance(close.result, Unscored)
    assert close.result.reason is Reason.ENGINE_ERROR
    assert "out of order" in close.result.detail
    with pytest.raises(RuntimeError, match="out of order"):  # it has to prove itself, so that it is built anew
        ran(cascade, case_of(CLEAR))


def test_the_settings_may_let_the_firsts_verdict_stand() -> None:
    _, close = ran(cascade_of(Saying(0.9, broken=True), on_failure="first"), case_of(CLEAR, CLOSE))
    assert isinstance(close.result, Probabilities)
    assert close.result.p_full == pytest.approx(0.4)


def test_one_bad_case_takes_no_other_down() -> None:
    cascade = cascade_of(ScriptedEngine())
    assert isinstance(cascade, CascadeEngine)
    bad = case_of(CLOSE + " [[unscored=too_long]]")
    good = case_of(CLOSE)
    found = cascade.run([cascade.plan(case, VERDICT_TIER) for case in (good, bad)])
    assert all(isinstance(outcomes[0].result, Probabilities) for outcomes in found)


def test_several_judges_give_their_mean_and_say_how_far_they_are_apart() -> None:
    (close,) = ran(cascade_of(Saying(0.9), Saying(0.5)), case_of(CLOSE))
    assert isinstance(close.result, Probabilities)
    assert close.result.p_full == pytest.approx(0.7)
    assert close.rationale is not None
    assert "differ by 0.40" in close.rationale


@pytest.mark.parametrize("negative", [False, True])
@pytest.mark.parametrize("p", [0.0, 0.2, 0.37999, 0.38, 0.45, 0.5, 1.0])
def test_a_judges_own_threshold_comes_to_lie_at_one_half(p: float, negative: bool) -> None:
    calibration = Calibration(positive_threshold=0.38, negative_threshold=0.38)
    before = score(Probabilities(1 - p, 0.0, p), negative=negative, calibration=calibration)
    shifted = own(Outcome(result=Probabilities(1 - p, 0.0, p)), calibration, negative=negative).result
    assert isinstance(shifted, Probabilities)
    after = score(shifted, negative=negative)
    assert not isinstance(before, Unscored)
    assert not isinstance(after, Unscored)
    assert before.satisfied is after.satisfied


async def test_it_serves_as_any_engine_with_local_and_with_remote_judges() -> None:
    local = cascade_of(ScriptedEngine())
    remote = cascade_of(Remote(Saying(0.9)))
    assert isinstance(local, Engine)
    assert isinstance(remote, SelfBatching)
    for engine in (local, remote):
        judge = Judge(engine)
        await judge.warm_up()
        judged = await judge.judge(case_of(CLEAR, CLOSE))
        assert judged.reward.value is not None
        assert judged.judge_id.startswith("cascade-")
        await judge.close()


async def test_a_remote_second_judge_that_fails_leaves_its_criteria_unscored() -> None:
    saying = Saying(0.9)
    remote = cascade_of(Remote(saying))
    assert isinstance(remote, RemoteCascade)
    await remote.judge(case_of(CLEAR), VERDICT_TIER)
    saying.broken = True
    clear, close = await remote.judge(case_of(CLEAR, CLOSE), VERDICT_TIER)
    assert isinstance(clear.result, Probabilities)
    assert isinstance(close.result, Unscored)
    remote.close()


async def test_a_second_judge_that_stays_dead_is_built_anew() -> None:
    first_one, built = Saying(0.9), list[CascadeEngine | RemoteCascade]()

    def rebuild() -> CascadeEngine | RemoteCascade:
        built.append(cascade_of(Saying(0.9)))
        return built[-1]

    judge = Judge(cascade_of(first_one), rebuild=rebuild, backoff=0.01)
    await judge.warm_up()
    first_one.broken = True
    assert (await judge.judge(case_of(CLOSE))).reward.value is None
    while not built:  # the next batch finds it dead; who comes meanwhile is told to come back
        with contextlib.suppress(Unavailable):
            await judge.judge(case_of(CLEAR))
        await asyncio.sleep(0.01)
    while True:
        with contextlib.suppress(Unavailable):
            assert (await judge.judge(case_of(CLOSE, CLEAR))).reward.value is not None
            break
        await asyncio.sleep(0.01)
    await judge.close()


def test_a_tiny_language_model_is_asked_what_mini_is_unsure_of() -> None:
    second = TorchEngine(prepare(tiny.model("qwen3"), tiny.tokenizer(), name="tiny"), min_label_mass=0.0)
    mini = build_engine(EngineConfig(engine="mini", judge_all=True, threads=1))
    assert isinstance(mini, Engine)
    settings = SETTINGS.model_copy(update={"margin": 0.5})
    cascade = make_cascade(settings, ((Member(mini, mini.calibration),), (Member(second, second.calibration),)))
    case = case_of("Names a refrigerant", "Explains who invented the heat pump")
    found = ran(cascade, case)
    alone = second.run([second.plan(case, VERDICT_TIER)])[0]
    for one, other in zip(found, alone, strict=True):
        own_of = own(other, second.calibration, negative=False).result
        assert isinstance(one.result, Probabilities)
        assert isinstance(own_of, Probabilities)
        # The first time the report was computed, the second time it was cached: rounding.
        assert one.result.p_full == pytest.approx(own_of.p_full, abs=1e-4)
    assert cascade.capabilities.languages == ()
    german = replace(case, report="Die Wärmepumpe bewegt Wärme aus der Luft in das Haus und braucht dafür Strom. " * 5)
    assert all(isinstance(one.result, Probabilities) for one in ran(cascade, german)), "what mini can't read goes on"
    assert "mini" in cascade.identity.model
    assert "tiny" in cascade.identity.model
    cascade.close()


def test_the_judge_id_tells_margins_and_judges_apart() -> None:
    ids = {
        cascade_of(second, margin=margin).identity.judge_id(Calibration())
        for second in (Saying(0.9), Saying(0.5))
        for margin in (0.1, 0.2)
    }
    assert len(ids) == 4


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("c.toml", "margin = 0.9\n[[first]]\n[[second]]\n", "margin"),
        ("c.toml", "margin = 0.1\nmragin = 1\n[[first]]\n[[second]]\n", "mragin"),
        ("c.toml", "margin = 0.1\n[[first]]\nengine='nano'\n[[second]]\n", "engine"),
        ("c.yaml", "margin: 0.1\nfirst: [{engine: cascade}]\nsecond: [{engine: mini}]\n", "cascade in a cascade"),
        ("c.yaml", "margin: [", "is not YAML"),
        ("c.json", "{}", "must end in"),
    ],
)
def test_a_faulty_settings_file_is_refused_with_the_place(tmp_path: Path, name: str, text: str, fault: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InvalidRequest, match=fault):
        read_settings(tmp_path / name)


def test_a_settings_file_builds_the_judges_it_names(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("margin: 0.1\nfirst:\n- engine: scripted\nsecond:\n- engine: scripted\n")
    engine = build_engine(EngineConfig(engine="cascade", cascade=file))
    assert isinstance(engine, CascadeEngine)
    engine.close()
    with pytest.raises(InvalidRequest, match="cascade"):
        build_engine(EngineConfig(engine="cascade"))


def test_the_example_of_the_docs_is_a_settings_file(tmp_path: Path) -> None:
    page = Path(__file__).parents[3].joinpath("docs", "cascade.md").read_text(encoding="utf-8")
    (tmp_path / "cascade.toml").write_text(page.split("```toml\n")[1].split("```")[0])
    settings = read_settings(tmp_path / "cascade.toml")
    assert [one.engine for one in (*settings.first, *settings.second)] == ["mini", "torch"]
