"""AReaL's own wrapper, which runs a reward function in processes, with its timeout and its tries."""

from __future__ import annotations

import json
import multiprocessing
from typing import Any

import pytest

from judger.integrations._common import Unjudged
from judger.integrations.areal import ChecklistReward
from tests.integrations.parts import part

PATIENCE = 120.0
LOST = json.dumps(["apple", "[[unscored=too_long]]"])


def wrapped(reward: ChecklistReward, **settings: Any) -> Any:
    # Its timeout counts from before its process has started, which takes a busy machine a while.
    settings = {"timeout_seconds": PATIENCE, "max_retries": 0} | settings
    return part("areal.api.reward_api", "areal").AsyncRewardWrapper(reward, max_workers=1, **settings)


async def test_its_processes_get_our_reward_and_what_has_none_is_raised(address: str) -> None:
    reward = wrapped(ChecklistReward(address))
    assert await reward("fruit?", "<think>pear</think>an apple", [1], [2], rubric=["apple", "pear"]) == 0.5
    with pytest.raises(Unjudged, match="too_long"):
        await reward("fruit?", "an apple", [1], [2], rubric=LOST)


async def test_a_slow_judge_is_raised_before_its_timeout_becomes_a_0(address: str) -> None:
    slow = ["[[slow=3]]"]
    reward = wrapped(ChecklistReward(address, its_timeout=PATIENCE, timeout=1.0))
    with pytest.raises(Unjudged):
        await reward("fruit?", "an apple", [1], [2], rubric=slow)
    assert multiprocessing.active_children()
