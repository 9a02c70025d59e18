"""The torch engine on a real model: exact, held to its form, bounded, calibrated. How well so small a model judges is
not asked: it says "not" to nearly everything."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from judger.cli import main
from judger.engines.base import VERDICT_TIER, Outcome, Tier
from judger.engines.mass import LOW
from judger.engines.tokens import end_of_turn
from judger.engines.torch.cascade import Cascade
from judger.engines.torch.check import in_float32
from judger.engines.torch.engine import TorchEngine
from judger.engines.torch.load import LoadedModel, load_model
from judger.judge import Judge
from judger.prompt.fence import FenceKey
from judger.schedule.admission import Ticket
from judger.types import Case, Criterion, Explain, Lane, Probabilities, Reason, Unscored

KEY = FenceKey(b"the key of these tests, nobody's secret")
REPORT = (
    "A heat pump moves heat from outside to inside. A refrigerant such as R290 evaporates at a low temperature, is "
    "compressed, and condenses indoors, where it gives off its heat. It does not create energy: it moves three to four "
    "times the energy that it takes. In winter the outdoor unit freezes over now and then and has to thaw."
)
TEXTS = (
    "Explains the refrigeration cycle",
    "Names at least one refrigerant",
    "Claims that heat pumps create energy",
    "Gives the price of a heat pump",
    "Says where the heat comes from",
    "Is written in German",
    "Mentions that the outdoor unit has to thaw",
)


def case(report: str = REPORT, texts: tuple[str, ...] = TEXTS) -> Case:
    criteria = tuple(
        Criterion(id=f"c{i}", text=text, weight=-1.0 if i in (2, 5) else 1.0) for i, text in enumerate(texts)
    )
    return Case(id="case", query="How do heat pumps work?", report=report, criteria=criteria)


def companies() -> list[Case]:
    """Cases of other lengths, to be judged beside the one that is looked at."""
    return [case(f"{REPORT} {'It is quiet, too. ' * count}", TEXTS[: 1 + count % 6]) for count in (0, 9)]


@pytest.fixture(scope="module")
def float32(model: str) -> LoadedModel:
    return load_model(model, device="cpu")


@pytest.fixture(scope="module")
def bfloat16(model: str) -> LoadedModel:
    """Loading it is a test, too: its rounding is that of a real model."""
    return load_model(model, device="cpu", dtype="bfloat16")


def engine_of(loaded: LoadedModel, **settings: Any) -> TorchEngine:
    return TorchEngine(loaded, fence=KEY, **settings)


def judged(engine: TorchEngine, cases: list[Case], tier: Tier = VERDICT_TIER) -> list[list[Outcome]]:
    return engine.run([engine.plan(one, tier) for one in cases])


def values(outcome: Outcome) -> tuple[float, float, float]:
    assert isinstance(outcome.result, Probabilities), outcome.result
    return outcome.result.p_not, outcome.result.p_partial, outcome.result.p_full


def furthest(one: list[Outcome], other: list[Outcome]) -> float:
    """The largest difference of a probability."""
    pairs = [pair for a, b in zip(one, other, strict=True) for pair in zip(values(a), values(b), strict=True)]
    return max(abs(a - b) for a, b in pairs)


def test_the_converted_model_ends_where_its_template_does(float32: LoadedModel) -> None:
    tokenizer, model = float32.tokenizer, float32.model
    assert tokenizer.eos_token == "<|im_end|>"
    assert end_of_turn(tokenizer) == tokenizer.eos_token_id == model.config.eos_token_id
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    assert tokenizer.pad_token_id is not None
    assert tokenizer.decode(tokenizer("It is so , is it?")["input_ids"]) == "It is so , is it?"


def test_one_pass_is_the_lone_prompt_in_float32(float32: LoadedModel) -> None:
    engine = engine_of(float32, cache_bytes=0)
    tree = engine._prompter.tree(case())
    ids = engine._prompter.labels.ids
    (ours,) = Cascade(float32.model, step_tokens=512, cache_bytes=0).log_probs([(tree, range(len(TEXTS)))], ids)
    own = load_model(str(float32.name), device="cpu").model
    own.set_attn_implementation("eager")
    with torch.inference_mode():
        for index, row in enumerate(ours):
            logits = own(input_ids=torch.tensor([tree.lone(index)]), use_cache=False).logits[0, -1]
            torch.testing.assert_close(row, torch.log_softmax(logits, -1)[list(ids)], atol=2e-4, rtol=0)


def test_bfloat16_rounds_and_no_more(
    float32: LoadedModel, bfloat16: LoadedModel, record_property: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    (truth,) = judged(engine_of(float32), [case()])
    (half,) = judged(engine_of(bfloat16), [case()])
    off = furthest(half, truth)
    with in_float32(bfloat16.model):
        (widened,) = judged(engine_of(bfloat16, cache_bytes=0), [case()])
    engine = engine_of(bfloat16, cache_bytes=0)
    drift = max(furthest(judged(engine, [case(), *company])[0], half) for company in ([one] for one in companies()))
    with capsys.disabled():
        print(f"\nbfloat16 against float32: {off:.4f}; in company: {drift:.4f}")
    assert off < 0.2
    assert drift < 0.15
    assert 0 < furthest(widened, truth) < off  # the weights' own rounding is left


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_deterministic_moves_no_bit_in_any_company(dtype: str, request: pytest.FixtureRequest) -> None:
    engine = engine_of(request.getfixturevalue(dtype), deterministic=True)
    (alone,) = judged(engine, [case()])
    for company in companies():
        assert [one.result for one in judged(engine, [company, case()])[1]] == [one.result for one in alone]


def test_every_criterion_gets_a_reason_of_one_line(float32: LoadedModel) -> None:
    engine = engine_of(float32, reason_tokens=300)
    (outcomes,) = judged(engine, [case()], Tier(explain=Explain.ALWAYS))
    for outcome in outcomes:
        values(outcome)
        assert outcome.rationale
        assert not any(mark in outcome.rationale for mark in ("\n", "<|im_", "Verdict:"))


async def test_two_reports_are_compared_and_equal_ones_tie(float32: LoadedModel) -> None:
    judge = Judge(engine_of(float32))
    other = "Wind turbines turn wind into power."
    there, back = [
        await judge.compare(case(a), case(b), Ticket(Lane.BULK)) for a, b in ((REPORT, other), (other, REPORT))
    ]
    assert there.p_a == pytest.approx(1 - back.p_a, abs=1e-4)
    same = await judge.compare(case(), case(), Ticket(Lane.BULK))
    assert same.p_a == pytest.approx(0.5, abs=1e-6)
    await judge.close()


def test_what_the_model_has_no_room_for_is_too_long_with_both_counts(float32: LoadedModel) -> None:
    engine = engine_of(float32)
    plan = engine.plan(case("It is quiet, too. " * 2000), VERDICT_TIER)
    (outcomes,) = engine.run([plan])
    for outcome in outcomes:
        assert isinstance(outcome.result, Unscored)
        assert outcome.result.reason is Reason.TOO_LONG
        assert "8192" in outcome.result.detail


async def test_the_label_mass_is_low_and_said_to_be(float32: LoadedModel, caplog: pytest.LogCaptureFixture) -> None:
    judge = Judge(engine_of(float32, min_label_mass=0.001))
    with caplog.at_level(logging.WARNING):
        await judge.warm_up()
        await judge.judge(case())
    assert judge.label_mass.mean is not None
    assert 0.001 < judge.label_mass.mean < LOW
    assert "labels hold" in caplog.text
    await judge.close()


def labelled(path: Path) -> Path:
    """Small reports of whose criteria it is known what they are."""
    colours = ("red", "green", "blue", "yellow", "white", "black")
    things = ("door", "roof", "fence", "car", "boat", "lamp")
    rows = []
    for number in range(36):
        thing, colour = things[number % 6], colours[number // 6]
        other = colours[(number // 6 + 1 + number % 4) % 6]
        texts = ((f"Says that the {thing} is {colour}.", "fully"), (f"Says that the {thing} is {other}.", "not"))
        rows.append(
            {
                "id": str(number),
                "query": "What colour is it?",  # one for all: what stands before the reports is computed once
                "report": f"I went to look at it. The {thing} is {colour}. It has been so for {number + 2} years.",
                "criteria": [
                    {"id": f"c{i}", "text": text, "label": f"{label}_satisfied"}
                    for i, (text, label) in enumerate(texts)
                ],
            }
        )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_calibrate_and_agree_serve_one_another_and_another_precision_is_refused(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = labelled(tmp_path / "labelled.jsonl"), tmp_path / "calibration.json"
    engine = ("--engine", "torch", "--model", model, "--device", "cpu", "--threads", "1", "--quiet")

    def run(*words: str) -> tuple[int, dict[str, Any]]:
        capsys.readouterr()
        code = main([*words, *engine])
        captured = capsys.readouterr()
        assert "Loading" not in captured.err
        return code, json.loads(captured.out) if captured.out else {"error": captured.err}

    code, fitted = run("calibrate", str(path), "-o", str(out), "--json")
    assert code in (0, 1)  # 1: no help on unseen reports, which so small a model may deserve
    assert fitted["after"]["nll"] < fitted["before"]["nll"]
    _, before = run("agree", str(path), "--json", "--resamples", "20")
    _, after = run("agree", str(path), "--json", "--resamples", "20", "--calibration", str(out))
    assert before["judge_id"] != after["judge_id"]
    assert after["mean"]["ece"]["value"] < before["mean"]["ece"]["value"]
    for found in (before, after):
        assert found["sources"]["labelled"]["n"] == 72
    code, refused = run("agree", str(path), "--json", "--calibration", str(out), "--dtype", "bfloat16")
    assert code == 2
    assert "fitted for" in refused["error"]
