"""SkyRL-gym makes the environment by its registered name."""

from __future__ import annotations

import pytest

from judger.errors import InvalidRequest
from judger.integrations._common import Unjudged


def test_an_environment_is_made_by_name_and_its_step_is_the_reward(address: str) -> None:
    import skyrl_gym

    entry = "judger.integrations.skyrl:ChecklistEnv"
    skyrl_gym.register(id="fruit", entry_point=entry, kwargs={"address": address})
    extras = {"reward_spec": {"ground_truth": ["apple", "pear"]}}
    env = skyrl_gym.make("fruit", env_config={}, extras=extras)
    env.init([{"role": "user", "content": "fruit?"}])
    step = env.step("an apple")
    assert (step["reward"], step["done"], step["observations"]) == (0.5, True, [])
    env = skyrl_gym.make("fruit", env_config={}, extras={"reward_spec": {"ground_truth": ["[[unscored=too_long]]"]}})
    with pytest.raises(Unjudged, match="too_long"):
        env.step("an apple")
    with pytest.raises(InvalidRequest, match=r"reward_spec\.ground_truth"):
        skyrl_gym.make("fruit", env_config={}, extras={})
