"""What of the agent's settings must be there for training; checked before the cluster starts, and in each worker."""

from __future__ import annotations

from pathlib import Path

from policy.config import Settings
from policy.errors import ConfigError

__all__ = ["check_agent"]


def check_agent(settings: Settings, path: Path, search_key: str | None) -> None:
    """Raises ConfigError where there is nothing to search, or no key for it. `path` names the settings."""
    search = settings.search
    if search.provider == "local" and search.index is None:
        raise ConfigError(
            f"{path}: search.index: must be given (judger-agent index DIR): without it the agent would search the few "
            "bundled documents"
        )
    if search.index is not None and not search.index.is_file():
        raise ConfigError(f"{path}: search.index: there is no file {search.index}")
    if search.provider != "local":
        from policy.web.providers import check_search

        check_search(search, search_key)
