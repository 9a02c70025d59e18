"""Where a library is not installed, its tests are skipped by name and left to `make test-integrations`."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.judger.integrations.conftest import address

__all__ = ["address"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        library = item.path.stem.removeprefix("test_")
        if item.path.parent == here and importlib.util.find_spec(library) is None:
            item.add_marker(pytest.mark.skip(reason="left to make test-integrations"))
