"""One Ray on this machine for all of these tests, which deploy on it what they need.

Where Ray is not installed, each of them is skipped by name and left to `make test-ray`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.local import Cluster, started

HERE = Path(__file__).parent
HAS_RAY = importlib.util.find_spec("ray") is not None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.ray)
            if not HAS_RAY:
                item.add_marker(pytest.mark.skip(reason="left to make test-ray"))


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with started() as cluster:
        yield cluster
