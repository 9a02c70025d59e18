"""What takes too long for every run of the suite is left to `make test-training`."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("training"):
            item.add_marker(pytest.mark.timeout(900))
            if config.option.markexpr != "training":
                item.add_marker(pytest.mark.skip(reason="left to make test-training"))
