"""A real language model, SmolLM2-135M-Instruct, which `make test-llm` fetches and converts.

The rest of the suite leaves these tests out, by name, whether the model is there or not: they take minutes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

MODEL = Path(__file__).parents[2] / ".llm" / "model"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.llm)
            item.add_marker(pytest.mark.timeout(1800))
            if config.option.markexpr != "llm":
                item.add_marker(pytest.mark.skip(reason="left to make test-llm"))


@pytest.fixture(scope="session")
def model() -> str:
    """The converted model's folder."""
    if not (MODEL / "config.json").is_file():
        pytest.fail(f"there is no model in {MODEL}: run make test-llm")
    return str(MODEL)


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Two on a busy machine wait for one another."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
