"""Where vLLM is not installed, each of these tests is skipped by name and left to `make test-vllm`."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    has_vllm = importlib.util.find_spec("vllm") is not None
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.vllm)
            if not has_vllm:
                item.add_marker(pytest.mark.skip(reason="left to make test-vllm"))
