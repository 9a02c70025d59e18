"""slime's own reward calls: our function behind `--custom-rm-path`, our HTTP door behind `--rm-type remote_rm`."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from judger.integrations._common import Unjudged

aiohttp = pytest.importorskip("aiohttp", reason="left to make test-integrations")
rm_hub: Any = importlib.import_module("tests.integrations.vendored.slime_rm_hub")

RUBRIC = json.dumps(["apple", "pear"])
LOST = json.dumps(["apple", "[[unscored=too_long]]"])


def sample(response: str, label: str = RUBRIC) -> Any:
    """A sample's fields, as slime.utils.types has them."""
    return SimpleNamespace(
        prompt="fruit?", response=response, label=label, metadata={}, custom_rm_path=None, remove_sample=False
    )


@pytest.fixture
def custom(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Its arguments, which name a file of the user's."""
    (tmp_path / "my_reward.py").write_text(
        f"from judger.integrations.slime import reward_of\nreward = reward_of({address!r})\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "my_reward", raising=False)
    return SimpleNamespace(custom_rm_path="my_reward.reward", rm_type=None, rm_url=None)


async def test_a_group_is_judged_whole_and_a_sample_without_a_reward_is_removed(custom: Any) -> None:
    group = [sample("<think>pear</think>an apple"), sample("an apple, a pear"), sample("an apple", LOST)]
    assert await rm_hub.batched_async_rm(custom, group) == [0.5, 1.0, 0.75]
    assert [one.remove_sample for one in group] == [False, False, True]


async def test_a_sample_alone_is_judged_and_raised_where_it_has_no_reward(custom: Any) -> None:
    assert await rm_hub.async_rm(custom, sample("an apple")) == 0.5
    with pytest.raises(Unjudged, match="--group-rm"):
        await rm_hub.async_rm(custom, sample("an apple", LOST))


async def test_the_http_door_is_its_remote_reward(doors: str) -> None:
    remote = SimpleNamespace(custom_rm_path=None, rm_type="remote_rm", rm_url=f"{doors}/reward")
    try:
        assert await rm_hub.batched_async_rm(remote, [sample("an apple"), sample("an apple, a pear")]) == [0.5, 1.0]
        with pytest.raises(aiohttp.ClientResponseError, match="422"):  # never a number
            await rm_hub.remote_rm(remote, sample("an apple", LOST), max_retries=2)
    finally:
        await rm_hub._get_shared_session().close()
