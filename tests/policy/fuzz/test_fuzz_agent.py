"""The short form of `python -m tests.policy.fuzz`."""

from __future__ import annotations

import logging

import pytest

from tests.policy.fuzz.attack import attack
from tests.policy.fuzz.commands import missing
from tests.policy.fuzz.targets import TARGETS

_INPUTS = {"pages": 60, "results": 400, "patches": 600, "commands": 12, "calls": 90}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", TARGETS)
def test_no_generated_input_does_more_than_be_refused(name):
    if name == "commands" and (reason := missing()):
        pytest.skip(f"no shell here: {reason}")
    logging.disable(logging.CRITICAL)
    try:
        found = attack(TARGETS[name], _INPUTS.get(name, 150), seed=2)
    finally:
        logging.disable(logging.NOTSET)
    assert [trace for _, trace in found.failures] == []
