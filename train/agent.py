"""What of the agent's settings must be there for training: looked at before anything that costs is started."""

from __future__ import annotations

from pathlib import Path

from policy.config import Settings
from policy.errors import ConfigError

__all__ = ["check_agent"]


def check_agent(settings: Settings, path: Path | None, search_key: str | None, *, bundled: bool = False) -> None:
    """Raises ConfigError where there is nothing to search, or no key for it.

    `path` names the settings. `bundled`: without an index the few documents that come with the agent will do.
    """
    search = settings.search
    if search.provider == "local" and search.index is None and not bundled:
        raise ConfigError(
            f"{path}: search.index: must be given (judger-agent index DIR): without it the agent would search the few "
            "bundled documents"
        )
    if search.index is not None and not search.index.is_file():
        raise ConfigError(f"{path}: search.index: there is no file {search.index}")
    if search.provider != "local":
        from policy.web.providers import check_search

        check_search(search, search_key)
