"""The commands of the pages are run by `make docs-test` alone; the rest of the suite looks at them."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("docs") is not None and config.option.markexpr != "docs":
            item.add_marker(pytest.mark.skip(reason="left to make docs-test"))
