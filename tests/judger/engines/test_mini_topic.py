"""A flaw that says what a report claims costs nothing where the report only has its topic."""

from __future__ import annotations

import random

import pytest

from judger.engines.base import VERDICT_TIER
from judger.engines.mini.engine import MiniEngine
from judger.types import Case, Criterion, Probabilities
from judger.verdict import score

TOPICS = ("heat pumps", "coral reefs", "night trains", "chess engines", "carbon taxes")
CLAIMS = (
    "Claims that {t} cause cancer",
    "States that {t} were invented in China",
    "Asserts that {t} are free of any risk",
    "Says that {t} will disappear within ten years",
    "Maintains that {t} are banned in France",
    "Argues that {t} should be abolished",
    "Reports that {t} cost twice as much as in 1990",
    "Concludes that {t} are not worth studying",
)
LINES = (
    "{t} are discussed in many books.",
    "The history of {t} is long.",
    "Experts have written about {t} since the last century.",
    "This report looks at {t} and at what is known of them.",
    "{t} come in several kinds.",
    "People often ask about {t}.",
    "There is much interest in {t} among students.",
    "The first section describes {t} in general.",
    "In short, {t} remain a subject of research.",
)


@pytest.fixture(scope="module")
def engine() -> MiniEngine:
    return MiniEngine.load(device="cpu", threads=2, judge_all=True)


@pytest.mark.parametrize("topic", TOPICS)
def test_a_report_with_the_topic_alone_makes_no_claim(engine: MiniEngine, topic: str) -> None:
    lines = random.Random(topic).sample(LINES, 6)
    criteria = tuple(Criterion(id=text, text=text.format(t=topic), weight=-1.0) for text in CLAIMS)
    case = Case(id="a", query=f"What are {topic}?", report=" ".join(lines).format(t=topic), criteria=criteria)
    [outcomes] = engine.run([engine.plan(case, VERDICT_TIER)])
    found = []
    for criterion, outcome in zip(criteria, outcomes, strict=True):
        assert isinstance(outcome.result, Probabilities)
        said = score(outcome.result, negative=True, calibration=engine.calibration)
        if said.satisfied:
            found.append(criterion.text)
    assert found == []
