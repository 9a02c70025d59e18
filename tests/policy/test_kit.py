"""The kit of an episode holds what the settings ask for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from policy.config import Settings, load_settings
from policy.episode import Episode
from policy.errors import ConfigError
from policy.index.store import LocalIndex, Passage
from policy.kit import Shared, open_kit
from policy.model import ToolCall
from policy.sources import Source


@pytest.fixture
def shared(tmp_path):
    folder = tmp_path / "docs"
    folder.mkdir()
    for number in range(9):
        (folder / f"mill-{number}.md").write_text(f"Mill {number} was rebuilt in 182{number}.")
    return Shared.local(LocalIndex.in_memory(folder))


async def test_all_built_in_tools_are_offered_unless_the_settings_name_some(tmp_path, shared):
    async with open_kit(Settings(), tmp_path / "a", shared) as kit:
        assert kit.tools.names == ("todo", "note", "search", "open", "file")
    some = Settings.model_validate({"agent": {"tools": ["open", "search"]}})
    async with open_kit(some, tmp_path / "b", shared) as kit:
        assert kit.tools.names == ("search", "open")
        outcome = await kit.tools.call(ToolCall("c", "todo", '{"items": []}'))
        assert outcome.is_error


async def test_a_search_shows_no_more_passages_than_the_settings_allow(tmp_path, shared):
    call = ToolCall("c", "search", '{"queries": ["mill"]}')
    few = Settings.model_validate({"search": {"max_results": 2}})
    for settings, shown in ((Settings(), 5), (few, 2)):
        async with open_kit(settings, tmp_path / str(shown), shared) as kit:
            assert len((await kit.tools.call(call)).sources) == shown


async def test_what_an_episode_was_shown_is_opened_by_its_key_whoever_answered_the_search(tmp_path, shared):
    class Pages:
        async def read(self, address):
            return [Passage("a.org-p#1", "Page", address, "", "All of it.")]

    episode = Episode()
    async with open_kit(Settings(), tmp_path / "a", replace(shared, web=Pages())) as kit:
        kit.take_up(episode)
        call = ToolCall("c", "open", '{"targets": ["a.org-p"]}')
        assert (await kit.tools.call(call)).is_error
        episode.sources.add(Source("a.org-p#0", "Page", "https://a.org/p", "It."))  # of a cache, or of a journal
        assert "All of it." in (await kit.tools.call(call)).text


def test_a_tool_that_is_not_built_in_is_refused(tmp_path):
    path = tmp_path / "agent.toml"
    path.write_text('[agent]\ntools = ["serach"]\n')
    with pytest.raises(ConfigError, match=r"agent\.tools\.0"):
        load_settings(path)
