"""All doors alike: the same chat, thoughts, rubrics in four formats, unscored and empty report.

Each door is called as its library calls it; what stands in for a library's own objects where it is not installed is a
plain namespace. What is asserted is the reward, or None where the door said in its library's way that there is none.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from judger.integrations._common import Unjudged, _client_of

QUESTION = "fruit?"
ONE = [{"text": "apple", "weight": 1}, {"text": "pear", "weight": 1}]
RUBRICS = {
    "JSON text": json.dumps(ONE),
    "list": ["apple", "pear"],
    "ResearchRubrics": {"rubrics": [{"criterion": "apple", "weight": 1.0}, {"criterion": "pear", "weight": 1.0}]},
    "HealthBench": {"rubrics": [{"criterion": "apple", "points": 1}, {"criterion": "pear", "points": 1}]},
}
LOST = json.dumps(["apple", "[[unscored=too_long]]"])

Door = Callable[[str, str, Any], Any]


def raised(call: Callable[[], Any]) -> float | None:
    try:
        return float(call())
    except Unjudged:
        return None


def nan_is_none(value: float) -> float | None:
    return None if math.isnan(value) else value


def trl(address: str, report: str, rubric: Any) -> float | None:
    from judger.integrations.trl import ChecklistReward

    chat, said = [{"role": "user", "content": QUESTION}], [{"role": "assistant", "content": report}]
    (value,) = asyncio.run(ChecklistReward(address)(prompts=[chat], completions=[said], rubric=[rubric]))
    return value


def verl(address: str, report: str, rubric: Any) -> float | None:
    from judger.integrations.verl import compute_score_of

    score = compute_score_of(address)
    return raised(lambda: asyncio.run(score("data", report, rubric, {"query": QUESTION}))["score"])


def openrlhf(address: str, report: str, rubric: Any) -> float | None:
    from judger.integrations.openrlhf import reward_func_of

    return raised(lambda: reward_func_of(address)([f"{QUESTION}{report}"], [QUESTION], [rubric])["rewards"][0])


def slime(address: str, report: str, rubric: Any) -> float | None:
    from judger.integrations.slime import reward_of

    other = SimpleNamespace(prompt=QUESTION, response="a plum", label=["plum"], remove_sample=False)
    sample = SimpleNamespace(prompt=QUESTION, response=report, label=rubric, remove_sample=False)
    first, second = asyncio.run(reward_of(address)(None, [sample, other]))
    assert second == 1.0
    return None if sample.remove_sample else first


def areal(address: str, report: str, rubric: Any) -> float | None:
    from judger.integrations.areal import ChecklistReward

    return raised(lambda: ChecklistReward(address)(QUESTION, report, [1], [2], rubric=rubric))


def datasets(address: str, report: str, rubric: Any) -> float | None:
    from judger.integrations.datasets import Judged

    return Judged(address)({"prompt": [QUESTION], "report": [report], "rubric": [rubric]})["reward"][0]


def inspect_ai(address: str, report: str, rubric: Any) -> float | None:
    from inspect_ai.scorer import Target

    from judger.integrations.inspect_ai import checklist

    state = SimpleNamespace(output=SimpleNamespace(completion=report), metadata={"rubric": rubric}, input_text=QUESTION)
    return nan_is_none(asyncio.run(checklist(address)(state, Target(""))).value)


def verifiers(address: str, report: str, rubric: Any) -> float | None:
    from judger.integrations.verifiers import ChecklistJudge, ChecklistJudgeConfig

    task = SimpleNamespace(prompt_text=QUESTION, rubric=rubric)
    judge = ChecklistJudge(ChecklistJudgeConfig(address=address))
    return raised(lambda: asyncio.run(judge.score(task, SimpleNamespace(last_reply=report))))


def skyrl(address: str, report: str, rubric: Any) -> float | None:
    from judger.integrations.skyrl import ChecklistEnv

    env = ChecklistEnv(extras={"reward_spec": {"ground_truth": rubric}}, address=address)
    env.init([{"role": "user", "content": QUESTION}])
    return raised(lambda: env.step(report)["reward"])


def lm_eval(address: str, report: str, rubric: Any) -> float | None:
    from judger.integrations.lm_eval import process_results_of

    return nan_is_none(process_results_of(address)({"prompt": QUESTION, "rubric": rubric}, [report])["checklist"])


def lighteval(address: str, report: str, rubric: Any) -> float | None:
    from judger.integrations.lighteval import checklist

    doc = SimpleNamespace(query=QUESTION, specific={"rubric": rubric})
    computed = checklist(address).sample_level_fn.compute(doc, SimpleNamespace(final_text=[report]))
    return nan_is_none(computed["checklist"])


def deepeval(address: str, report: str, rubric: Any) -> float | None:
    from deepeval.test_case import LLMTestCase

    from judger.integrations.deepeval import ChecklistMetric

    case = LLMTestCase(input=QUESTION, actual_output=report, metadata={"rubric": rubric})
    return raised(lambda: asyncio.run(ChecklistMetric(address).a_measure(case)))


def ragas(address: str, report: str, rubric: Any) -> float | None:
    from ragas import SingleTurnSample

    from judger.integrations.ragas import Checklist

    text = rubric if isinstance(rubric, str) else json.dumps(rubric)  # its samples have texts alone
    sample = SingleTurnSample(user_input=QUESTION, response=report, reference=text)
    return raised(lambda: asyncio.run(Checklist(address=address).single_turn_ascore(sample)))


def ray(address: str, report: str, rubric: Any) -> float | None:
    import pyarrow

    from judger.integrations.ray import Judged

    table = pyarrow.table({"prompt": [QUESTION], "report": [report], "rubric": [rubric]})
    return Judged(address)(table)["reward"].to_pylist()[0]


DOORS: dict[str, Door] = {
    one.__name__: one
    for one in (
        trl, verl, openrlhf, slime, areal, datasets, inspect_ai, verifiers, skyrl, lm_eval, lighteval, deepeval, ragas,
        ray,
    )
}  # fmt: skip
NEED_NO_LIBRARY = {"trl", "verl", "openrlhf", "slime", "areal", "datasets", "lm_eval"}


def door_of(library: str) -> Door:
    return DOORS[library]


def all_doors() -> pytest.MarkDecorator:
    from tests.integrations.conftest import has

    reason = "left to make test-integrations"
    return pytest.mark.parametrize(
        "door",
        [
            pytest.param(
                door, id=name, marks=() if name in NEED_NO_LIBRARY or has(name) else pytest.mark.skip(reason=reason)
            )
            for name, door in DOORS.items()
        ],
    )


@all_doors()
def test_a_door_strips_thoughts_and_reads_rubrics_in_every_format(door: Door, address: str) -> None:
    for rubric in RUBRICS.values():
        assert door(address, "<think>I should say pear</think>an apple", rubric) == 0.5
    assert door(address, "an apple, a pear", RUBRICS["JSON text"]) == 1.0


@all_doors()
def test_a_door_has_no_number_for_an_unscored_or_a_blank_report(door: Door, address: str) -> None:
    for report, rubric in (("an apple", LOST), ("", ONE), ("<think>apple, pear", ONE)):
        assert door(address, report, rubric) is None


@all_doors()
def test_a_door_has_one_client_a_process(door: Door, address: str) -> None:
    door(address, "an apple", RUBRICS["list"])
    misses = _client_of.cache_info().misses
    door(address, "a pear", RUBRICS["list"])
    assert _client_of.cache_info().misses == misses


def test_every_door_is_here() -> None:
    from pathlib import Path

    import judger.integrations

    found = {path.stem for path in Path(judger.integrations.__path__[0]).glob("[a-z]*.py")}
    assert found - {"nemo_gym"} == set(DOORS)  # NeMo Gym's server has a test of its own
