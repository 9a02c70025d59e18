"""Whatever a judge model says, it is a verdict of the menu or unscored: the short form of `make fuzz`."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import REPLIES, seeds, target, verdicts

PIECES = st.sampled_from(
    ["Reason:", "Quote:", "Verdict:", "\n", " ", "fully", "Not", "**", '"', "{", "[", ": ", "\ud800"]
)
TEXTS = st.lists(PIECES | st.sampled_from(REPLIES) | st.text(max_size=8), max_size=12).map("".join)
DOUBLES = st.floats() | st.sampled_from([-1.0, 0.0, 0.5, 1.0, 710.0, 1e308])


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 15), st.tuples(DOUBLES, DOUBLES, DOUBLES), TEXTS)
def test_any_reply_is_a_verdict_or_unscored(flags: int, numbers: tuple[float, float, float], text: str) -> None:
    assert verdicts(bytes([flags]) + struct.pack("<3d", *numbers) + text.encode("utf-8", "surrogatepass")) is None


def test_a_reply_nested_beyond_reason_is_unscored() -> None:
    assert verdicts(bytes([2]) + bytes(24) + b'{"verdict": ' * 100_000) is None


@pytest.mark.parametrize("name", ["loaders", "requests", "verdicts"])
def test_the_long_form_begins_with_inputs_that_its_target_takes(name: str) -> None:
    one = target(name)
    inputs = list(seeds(name))
    assert len(inputs) > 10
    assert [one(content) for content in inputs] == [None] * len(inputs)


def test_the_long_form_runs_and_loads_no_torch() -> None:
    pytest.importorskip("atheris", reason="needs the [fuzz] extra")
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "tests.fuzz", "--inputs", "500", "verdicts"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["inputs"] >= 500
    assert found["crashes"] == []
