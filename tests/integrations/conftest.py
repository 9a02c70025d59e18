"""Where a library is not installed, its tests are skipped by name and left to `make test-integrations`."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.integrations.parts import PARTS
from tests.judger.integrations.conftest import address, doors

__all__ = ["address", "doors"]

MODULES = {
    "skyrl": "skyrl_gym",
    "slime": "aiohttp",
    "skyrl_environment": "skyrl_gym",
    "verifiers_environment": "verifiers",
}
SHARED = {"doors", "pages"}
"""Tests over all doors, which skip those whose library is elsewhere."""


def has(library: str) -> bool:
    return (PARTS / library).is_dir() or importlib.util.find_spec(MODULES.get(library, library)) is not None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.parent != here:
            continue
        named = getattr(item, "callspec", None)
        library = named.params.get("library") if named is not None else None
        library = library or item.path.stem.removeprefix("test_")
        if library not in SHARED and not has(library):
            item.add_marker(pytest.mark.skip(reason="left to make test-integrations"))
