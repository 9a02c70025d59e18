"""What the built-in judge says of criteria beforehand is what it does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from judger.engines.base import VERDICT_TIER
from judger.engines.mini.engine import MiniEngine
from judger.engines.preview import Preview
from judger.types import Case, Criterion, Reason, Unscored

REPORTS = (
    "Heat pumps move heat. They need power.",
    "Certainly! Heat pumps use propane [1].\n\n## References\n[1] Lee, A. (2020). Heat. https://a.example/b\n",
)
CRITERIA = (
    ("Cites at least five sources", 1.0),
    ("Cites nothing.", -1.0),
    ("Lists the same source twice.", -1.0),
    ("Opens with chatty filler.", -1.0),
    ("Mentions propane", 1.0),
    ("Names the Montreal Protocol", -1.0),
    ("Names gradual market saturation", 1.0),
    ("Explains how heat pumps move heat", 1.0),
    ("Cites nothing.", 1.0),
)


@pytest.fixture(scope="module")
def preview() -> Preview:
    """Of a judge that is near chance on whatever it reads."""
    made = Preview(threads=1)
    made.model = replace(made.model, judgeable=replace(made.model.judgeable, hard=0.0, margin=2.0))
    return made


@pytest.mark.parametrize("report", REPORTS)
def test_it_names_those_criteria_that_the_judge_leaves_open(preview: Preview, report: str) -> None:
    criteria = tuple(Criterion(id=f"c{i}", text=text, weight=w) for i, (text, w) in enumerate(CRITERIA))
    engine = MiniEngine(preview.model)
    (outcomes,) = engine.run([engine.plan(Case(id="r", query="", report=report, criteria=criteria), VERDICT_TIER)])
    left = [isinstance(o.result, Unscored) and o.result.reason is Reason.NOT_JUDGEABLE for o in outcomes]
    told = preview.left_open([c.text for c in criteria], [c.is_negative for c in criteria])
    assert left == [bool(why) for why in told]
    assert any(left)
    assert not all(left)


def test_what_only_some_reports_let_it_count_may_be_left_open(preview: Preview) -> None:
    assert preview.left_open(["Leans on wikis as its sources"], [True]) != [""]
