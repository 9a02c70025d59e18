"""The built-in judge with its shipped weights."""

from __future__ import annotations

import json
import math
import random
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from judger.engines.base import VERDICT_TIER, Engine, Outcome
from judger.engines.mini.checkpoint import WEIGHTS
from judger.engines.mini.engine import MiniEngine
from judger.errors import EngineError, InvalidRequest
from judger.types import Case, Criterion, Probabilities, Reason, Unscored

REPORT = (
    "# The river\n\nThe Danube rises in the Black Forest in Germany. It flows through ten countries, more than any "
    "other river in the world.\n\nIts length is 2,850 km. The delta lies in Romania and Ukraine, and it is a "
    "World Heritage site.\n\nFishing has declined since 1990 because of dams."
)
TEXTS = (
    "The text states that: The Danube rises in the Black Forest.",
    "The report mentions that the river flows through ten countries.",
    "The text states that: The Rhine reaches the North Sea at Rotterdam.",
    "Fails to mention that the Danube rises in the Black Forest.",
)
FLAWS = frozenset(TEXTS[3:])


@pytest.fixture(scope="module")
def engine() -> MiniEngine:
    return MiniEngine.load(device="cpu", threads=1, judge_all=True)


def case(report: str = REPORT, texts: tuple[str, ...] = TEXTS, language: str = "") -> Case:
    criteria = tuple(
        Criterion(id=f"c{i}", text=text, weight=-1.0 if text in FLAWS else 1.0) for i, text in enumerate(texts)
    )
    return Case(id="r", query="", report=report, criteria=criteria, language=language)


def judged(engine: MiniEngine, *cases: Case) -> list[list[Outcome]]:
    return engine.run([engine.plan(c, VERDICT_TIER) for c in cases])


def p(outcome: Outcome) -> Probabilities:
    assert isinstance(outcome.result, Probabilities), outcome.result
    return outcome.result


def test_it_is_an_engine(engine: MiniEngine) -> None:
    assert isinstance(engine, Engine)
    assert engine.capabilities.languages == ("en",)


def test_every_outcome_is_a_distribution_with_evidence_inside_the_report(engine: MiniEngine) -> None:
    (outcomes,) = judged(engine, case())
    assert len(outcomes) == len(TEXTS)
    for outcome in outcomes:
        result = p(outcome)
        assert math.isclose(result.p_not + result.p_partial + result.p_full, 1, abs_tol=1e-5)
        (span,) = outcome.evidence
        assert 0 <= span.start < span.end <= len(REPORT)
        assert outcome.prompt_tokens > outcome.shared_tokens > 0


def test_what_is_stated_is_likelier_than_what_is_not(engine: MiniEngine) -> None:
    (outcomes,) = judged(engine, case())
    stated, also, absent, omitted = (p(outcome).p_full for outcome in outcomes)
    assert min(stated, also) > absent + 0.2
    assert omitted < stated - 0.2


def test_a_flaw_of_leaving_out_is_present_where_it_is_left_out(engine: MiniEngine) -> None:
    without = REPORT.replace("The Danube rises in the Black Forest in Germany. ", "")
    (there,), (gone,) = judged(engine, case(texts=TEXTS[3:])), judged(engine, case(without, TEXTS[3:]))
    assert p(there[0]).p_not > p(gone[0]).p_not + 0.2


def test_the_evidence_is_the_sentence_that_states_it(engine: MiniEngine) -> None:
    (outcomes,) = judged(engine, case())
    (span,) = outcomes[0].evidence
    assert "Black Forest" in REPORT[span.start : span.end]


@pytest.mark.xfail(
    strict=True, reason="the regression beside the trees: 0.53 against 0.97, and 0.40 against 0.93 before it"
)
def test_of_two_sentences_the_one_that_is_not_stated_counts(engine: MiniEngine) -> None:
    both = "The answer conveys: The Danube rises in the Black Forest. It flows through ten countries."
    one = "The answer conveys: The Danube rises in the Black Forest. The council closed the harbour in winter."
    ((stated, half),) = judged(engine, case(texts=(both, one)))
    assert p(half).p_full < 0.5 * p(stated).p_full


@pytest.mark.parametrize("place", ["before", "after", "between"])
def test_unrelated_text_turns_no_verdict(engine: MiniEngine, place: str) -> None:
    noise = " ".join(f"The kiln of house {i} was fired on a day of rain, and the potter slept." for i in range(60))
    head, rest = REPORT.split("\n\n", 1)
    report = {
        "before": f"{noise}\n\n{REPORT}",
        "after": f"{REPORT}\n\n{noise}",
        "between": f"{head}\n\n{noise}\n\n{rest}",
    }[place]
    (alone,), (beside,) = judged(engine, case()), judged(engine, case(report))
    for one, other in zip(alone, beside, strict=True):
        assert (p(one).p_full > 0.5) == (p(other).p_full > 0.5)
    assert p(beside[0]).p_full == pytest.approx(p(alone[0]).p_full, abs=0.1)


def test_a_verdict_does_not_depend_on_who_else_is_in_the_batch(engine: MiniEngine) -> None:
    others = [
        case(" ".join(random.Random(i).choices(REPORT.split(), k=40 + 70 * i)), TEXTS[: 1 + i % 4]) for i in range(5)
    ]
    (alone,) = judged(engine, case())
    together = judged(engine, *others[:3], case(), *others[3:])[3]
    for a, b in zip(alone, together, strict=True):
        assert p(a).p_full == pytest.approx(p(b).p_full, abs=2e-5)
        assert a.evidence == b.evidence


def test_a_criterion_does_not_depend_on_the_other_criteria(engine: MiniEngine) -> None:
    (alone,) = judged(engine, case(texts=TEXTS[1:2]))
    (together,) = judged(engine, case())
    assert p(alone[0]).p_full == pytest.approx(p(together[1]).p_full, abs=2e-5)


def test_what_is_counted_is_not_read_and_what_a_group_shares_is_encoded_once(
    engine: MiniEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = {"reader": 0, "encoder": 0}

    def counted(name: str) -> None:
        module = getattr(engine.model, name)
        forward = module.forward

        def call(ids: torch.Tensor, *rest: object) -> object:
            rows[name] += len(ids)
            return forward(ids, *rest)

        monkeypatch.setattr(module, "forward", call)

    counted("reader")
    counted("encoder")
    texts = (*TEXTS, "Has a table.", "Longer than 20 words.")
    (alone,) = judged(engine, case(texts=texts))
    once = dict(rows)
    assert once["reader"] == len(TEXTS)
    assert [outcome.prompt_tokens == outcome.shared_tokens for outcome in alone] == [False] * len(TEXTS) + [True] * 2
    assert [p(outcome).p_full for outcome in alone[-2:]] == [pytest.approx(0.0, abs=0.1), pytest.approx(1.0, abs=0.1)]
    two = judged(engine, case(texts=texts), case(REPORT + " It is long.", texts=texts))
    assert rows["encoder"] == 2 * once["encoder"] + 1, "the second report brings one sentence"
    assert [p(x).p_full for x in two[0]] == pytest.approx([p(x).p_full for x in alone], abs=1e-5)


def test_another_language_is_refused_and_not_guessed(engine: MiniEngine) -> None:
    german = "Die Donau entspringt im Schwarzwald und fließt durch zehn Länder, und sie ist lang. " * 8
    plan = engine.plan(case(german), VERDICT_TIER)
    (outcomes,) = engine.run([plan])
    assert [o.result.reason for o in outcomes if isinstance(o.result, Unscored)] == [Reason.UNSUPPORTED_LANGUAGE] * 4


def test_text_without_a_word_is_unscored(engine: MiniEngine) -> None:
    for wordless in ("\u200b \n", "!? ...", "---"):
        ((outcome,),) = judged(engine, case(wordless, ("Something is said.",)))
        assert isinstance(outcome.result, Unscored)
        (first, second) = judged(engine, case(texts=(wordless, "The Danube rises in the Black Forest.")))[0]
        assert isinstance(first.result, Unscored)
        assert isinstance(second.result, Probabilities)


def test_what_it_is_near_chance_on_is_left_open_unless_all_is_to_be_judged(engine: MiniEngine) -> None:
    model = replace(engine.model, judgeable=replace(engine.model.judgeable, hard=0.0, margin=1.0))
    careful, bold = MiniEngine(model), MiniEngine(model, judge_all=True)
    assert careful.identity != bold.identity
    asked = case(texts=(*TEXTS, "The report has at least one heading"))
    ((*left, counted),) = judged(careful, asked)
    assert {o.result.reason for o in left if isinstance(o.result, Unscored)} == {Reason.NOT_JUDGEABLE}
    assert len(left) == len(TEXTS)
    assert isinstance(counted.result, Probabilities)
    assert all(isinstance(outcome.result, Probabilities) for outcome in judged(bold, asked)[0])


def test_an_empty_batch_and_a_single_word_are_judged(engine: MiniEngine) -> None:
    assert engine.run([]) == []
    ((outcome,),) = judged(engine, case("Danube", ("Danube",)))
    assert isinstance(outcome.result, Probabilities)


def test_a_long_report_is_judged_in_time_that_grows_with_its_length_only(engine: MiniEngine) -> None:
    rng = random.Random(0)
    words = [" ".join(rng.choices(REPORT.split(), k=12)) + "." for _ in range(500)]
    long = case("\n\n".join([*words, REPORT]))
    assert engine.plan(long, VERDICT_TIER).tokens > 6000
    began = time.process_time()  # of the processor: the machine may have other work
    (outcomes,) = judged(engine, long)
    assert time.process_time() - began < 60
    assert p(outcomes[0]).p_full > p(outcomes[2]).p_full


def test_the_cost_of_a_plan_is_what_is_encoded(engine: MiniEngine) -> None:
    small, large = (engine.plan(case(REPORT * n), VERDICT_TIER).tokens for n in (1, 4))
    assert 3 * small < large + sum(len(t.split()) for t in TEXTS) * 8


def test_other_files_are_another_judge(engine: MiniEngine, tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    shutil.copytree(WEIGHTS, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "name": "other"}))
    other, again = (MiniEngine.load(name, device="cpu", judge_all=True) for name in (str(folder), None))
    ids = {e.identity.judge_id(e.calibration) for e in (engine, other, again)}
    assert len(ids) == 2


def test_a_folder_without_weights_and_weights_of_another_format_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest):
        MiniEngine.load(str(tmp_path))
    shutil.copytree(WEIGHTS, tmp_path / "weights")
    config = json.loads((tmp_path / "weights" / "config.json").read_text())
    (tmp_path / "weights" / "config.json").write_text(json.dumps({**config, "format": 99}))
    with pytest.raises(EngineError):
        MiniEngine.load(str(tmp_path / "weights"))


def test_the_shipped_files_are_small_enough() -> None:
    assert sum(file.stat().st_size for file in WEIGHTS.iterdir()) <= 60e6
    assert {file.suffix for file in WEIGHTS.iterdir()} == {".safetensors", ".json"}


@pytest.mark.parametrize("name", ["model.safetensors", "trees.safetensors"])
def test_torn_weights_are_told_and_no_traceback(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "weights"
    shutil.copytree(WEIGHTS, folder)
    (folder / name).write_bytes((WEIGHTS / name).read_bytes()[:100])
    with pytest.raises(EngineError, match="can't be read"):
        MiniEngine.load(str(folder), device="cpu")
