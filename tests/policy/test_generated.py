"""Generated hostile inputs, in short: no crash, no stall, no damage. `make fuzz` runs ten thousand of each."""

from __future__ import annotations

import pytest

from tests.policy.generated import faults


@pytest.mark.parametrize(("kind", "number"), [("pages", 60), ("replies", 400), ("reports", 150)])
def test_generated_inputs_are_read_or_refused(kind, number):
    assert faults(kind, number, seed=3) == []
