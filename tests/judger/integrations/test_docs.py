"""The examples of docs/integrations/*.md, as they stand there: each is run, and what it defines is called."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

DOCS = Path(__file__).resolve().parents[3] / "docs"
EXAMPLES = {
    page.stem: "\n".join(re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S))
    for page in (DOCS / "integrations").glob("*.md")
}
RUBRIC = '["apple"]'


@pytest.fixture
def example(request: pytest.FixtureRequest, address: str) -> dict[str, Any]:
    """What the example of a library leaves behind."""
    text = EXAMPLES[request.param]
    assert "localhost:50051" in text
    names: dict[str, Any] = {"__name__": "example"}
    exec(text.replace("localhost:50051", address), names)
    return names


def of(library: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("example", [library], indirect=True)


@of("trl")
async def test_trl(example: dict[str, Any]) -> None:
    rewards = await example["reward"](prompts=["q"], completions=["an apple"], rubric=[RUBRIC])
    assert rewards == [pytest.approx(1.0 - 0.008)]


@of("verl")
async def test_verl(example: dict[str, Any]) -> None:
    assert (await example["compute_score"]("data", "an apple", RUBRIC, {}))["score"] == 1.0


@of("openrlhf")
def test_openrlhf(example: dict[str, Any]) -> None:
    assert example["reward_func"](["Qan apple"], ["Q"], [RUBRIC])["rewards"] == [1.0]


@of("slime")
async def test_slime(example: dict[str, Any]) -> None:
    sample = SimpleNamespace(prompt="q", response="an apple", label=RUBRIC)
    assert await example["reward"](None, [sample]) == [1.0]


@of("areal")
def test_areal(example: dict[str, Any]) -> None:
    assert example["reward_fn"]("q", "an apple", [], [], rubric=RUBRIC) == 1.0


@pytest.mark.filterwarnings("ignore")
@of("datasets")
def test_datasets(example: dict[str, Any]) -> None:
    assert len(example["rows"]["reward"]) == 1


@of("lm_eval")
def test_lm_eval(example: dict[str, Any]) -> None:
    judged = example["process_results"]({"prompt": "q", "rubric": RUBRIC}, ["an apple"])
    assert judged == {"checklist": 1.0, "checklist_unscored": 0.0}


def test_every_door_has_a_page_with_an_example_which_the_index_names() -> None:
    import judger.integrations

    doors = {path.stem for path in Path(judger.integrations.__path__[0]).glob("[a-z]*.py")}
    assert set(EXAMPLES) == doors
    assert all(EXAMPLES.values())
    index = (DOCS / "integrations.md").read_text(encoding="utf-8")
    assert {name for name in doors if f"](integrations/{name}.md)" in index} == doors
