"""The README's own example, on a report that plainly fulfils it."""

from __future__ import annotations

import json
import re
from pathlib import Path

from judger.engines.base import VERDICT_TIER
from judger.engines.mini.engine import MiniEngine
from judger.types import Case, Criterion, Probabilities, Score
from judger.verdict import score

README = Path(__file__).parents[3] / "README.md"
REPORT = """# How a heat pump works

A heat pump moves heat from a cold place to a warm one. It does so with the refrigeration cycle.

## The refrigeration cycle

The refrigerant evaporates in the outdoor coil and takes up heat from the air. A compressor raises its pressure and its
temperature. In the condenser it gives the heat to the house and becomes liquid again; an expansion valve lowers its
pressure, and the cycle starts anew. A refrigerant such as propane (R-290) or R-32 is used in most new machines.

## Energy

A heat pump does not create energy: it moves three to four units of heat for each unit of electricity.
"""


def example() -> Case:
    """The case that the README shows, with the report above in place of its first words."""
    found = re.search(r"\{\"id\": \"1\".*?\]\}", README.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    row = json.loads(" ".join(found.group().split()))
    criteria = tuple(Criterion(**criterion) for criterion in row["criteria"])
    assert len(criteria) == 3
    return Case(id=row["id"], query=row["query"], report=REPORT, criteria=criteria)


def test_the_example_comes_out_right() -> None:
    engine = MiniEngine.load(device="cpu", threads=1)
    case = example()
    (outcomes,) = engine.run([engine.plan(case, VERDICT_TIER)])
    bits = {}
    for criterion, outcome in zip(case.criteria, outcomes, strict=True):
        assert isinstance(outcome.result, Probabilities), outcome.result
        found = score(outcome.result, negative=criterion.is_negative, calibration=engine.calibration)
        assert isinstance(found, Score)
        bits[criterion.text] = found.satisfied
    assert bits == {
        "Explains the refrigeration cycle": True,
        "Names at least one refrigerant": True,
        "Claims that heat pumps create energy": False,
    }
