"""What takes too long for every run of the suite is left to `make test-training`; what is run has time for it, as some
train for a minute that a busy machine stretches."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _own_accelerator() -> Iterator[None]:
    """A process has one precision, whoever asked for it first; here tests of several share one."""
    yield
    if (state := sys.modules.get("accelerate.state")) is not None:
        state.AcceleratorState._reset_state()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.timeout(900))
        if item.get_closest_marker("training") and config.option.markexpr != "training":
            item.add_marker(pytest.mark.skip(reason="left to make test-training"))
