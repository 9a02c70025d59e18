"""The examples of the pages whose libraries are here alone, as they stand there."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from tests.judger.integrations.test_docs import EXAMPLES, example

__all__ = ["example"]


def of(library: str) -> Any:
    from tests.integrations.conftest import has

    skip = pytest.mark.skip(reason="left to make test-integrations")
    param = pytest.param(library, marks=() if has(library) else skip)
    return pytest.mark.parametrize("example", [param], indirect=True)


@of("inspect_ai")
def test_inspect(example: dict[str, Any], tmp_path: Any) -> None:
    from inspect_ai import eval as evaluate

    from tests.integrations.test_inspect_ai import saying

    model = saying("It names an apple: names an apple.")
    (log,) = evaluate(example["task"], model=model, display="none", log_dir=str(tmp_path))
    assert log.results.scores[0].metrics["mean"].value == 1.0


@of("verifiers")
def test_verifiers(example: dict[str, Any]) -> None:
    (judge,) = example["task"].plugged_judges()
    trace = SimpleNamespace(last_reply="It names an apple: names an apple")
    assert asyncio.run(judge.score(example["task"].data, trace)) == 1.0


@of("skyrl")
def test_skyrl(example: dict[str, Any]) -> None:
    env = example["env"]
    env.init([{"role": "user", "content": "Fruit?"}])
    assert env.step("nothing")["reward"] == 0.0


@of("lighteval")
def test_lighteval(example: dict[str, Any]) -> None:
    doc = SimpleNamespace(query="Fruit?", specific={"rubric": ["apple"]})
    judged = example["metric"].sample_level_fn.compute(doc, SimpleNamespace(final_text=["an apple"]))
    assert judged == {"checklist": 1.0, "checklist_unscored": 0.0}


@of("deepeval")
def test_deepeval(example: dict[str, Any]) -> None:
    assert example["metric"].measure(example["case"]) == 1.0


@of("ragas")
def test_ragas(example: dict[str, Any]) -> None:
    assert asyncio.run(example["metric"].single_turn_ascore(example["sample"])) == 1.0


@of("ray")
def test_ray(example: dict[str, Any]) -> None:
    try:
        assert [row["reward"] for row in example["data"].take_all()] == [1.0]
        assert example["kept"].count() == 1
    finally:
        example["ray"].shutdown()


def test_the_pages_run_here_and_in_the_main_suite_are_all_there_are() -> None:
    elsewhere = {"trl", "verl", "openrlhf", "slime", "areal", "datasets", "lm_eval", "nemo_gym"}
    here = {"inspect_ai", "verifiers", "skyrl", "lighteval", "deepeval", "ragas", "ray"}
    assert json.dumps(sorted(here | elsewhere)) == json.dumps(sorted(EXAMPLES))
