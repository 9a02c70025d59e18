"""Where verl is not installed, each of these tests is skipped by name and left to `make test-verl`."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    has_verl = importlib.util.find_spec("verl") is not None
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.verl)
            if not has_verl:
                item.add_marker(pytest.mark.skip(reason="left to make test-verl"))
