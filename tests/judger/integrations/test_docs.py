"""The examples of docs/integrations.md, as they stand there: each is run, and what it defines is called."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "integrations.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^## (\w+)\n+```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
RUBRIC = '["apple"]'


@pytest.fixture
def example(request: pytest.FixtureRequest, address: str) -> dict[str, Any]:
    """What the example of a library leaves behind."""
    text = dict(EXAMPLES)[request.param]
    assert "localhost:50051" in text
    names: dict[str, Any] = {}
    exec(text.replace("localhost:50051", address), names)
    return names


def of(library: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("example", [library], indirect=True)


@of("TRL")
async def test_trl(example: dict[str, Any]) -> None:
    rewards = await example["reward"](prompts=["q"], completions=["an apple"], rubric=[RUBRIC])
    assert rewards == [pytest.approx(1.0 - 0.008)]


@of("verl")
async def test_verl(example: dict[str, Any]) -> None:
    assert (await example["compute_score"]("data", "an apple", RUBRIC, {}))["score"] == 1.0


@of("OpenRLHF")
def test_openrlhf(example: dict[str, Any]) -> None:
    assert example["reward_func"](["Qan apple"], ["Q"], [RUBRIC])["rewards"] == [1.0]


@of("slime")
async def test_slime(example: dict[str, Any]) -> None:
    sample = SimpleNamespace(prompt="q", response="an apple", label=RUBRIC)
    assert await example["reward"](None, [sample]) == [1.0]


@of("AReaL")
def test_areal(example: dict[str, Any]) -> None:
    assert example["reward_fn"]("q", "an apple", [], [], rubric=RUBRIC) == 1.0


@pytest.mark.filterwarnings("ignore")
@of("datasets")
def test_datasets(example: dict[str, Any]) -> None:
    assert len(example["rows"]["reward"]) == 1


def test_every_example_has_a_test_of_its_own() -> None:
    assert [name for name, _ in EXAMPLES] == ["TRL", "verl", "OpenRLHF", "slime", "AReaL", "datasets"]
