"""The doors of trainers that call a plain function: in their own signatures, with what each makes of no reward."""

from __future__ import annotations

import pickle
from types import SimpleNamespace
from typing import Any

import pytest

from judger.errors import InvalidRequest
from judger.integrations import areal, openrlhf, slime, verl
from judger.integrations._common import Unjudged

GOOD, LOST = '["apple"]', '["apple", "[[unscored=unparsable]]"]'


async def test_verl_gets_the_same_keys_for_every_sample_and_an_exception_for_none(address: str) -> None:
    score = verl.compute_score_of(address)
    judged = await score("data", "an apple", GOOD, {"query": "fruit?", "index": 3}, extra="x")
    assert judged == {"score": 1.0, "raw": 1.0, "flags": 0.0, "explicit": 1.0, "implicit": 0.0, "negative": 0.0}
    blank = await verl.compute_score_of(address, blank=0.0)("data", "  ", GOOD)
    assert (set(blank), blank["score"]) == (set(judged), 0.0)
    assert (await score("data", "all of it", GOOD, {"report": "a pear"}))["score"] == 0.0
    with pytest.raises(Unjudged, match="unparsable"):
        await score("data", "an apple", LOST)
    with pytest.raises(Unjudged, match="blank"):
        await score("data", "  ", GOOD)


def test_verls_blocking_managers_get_the_same(address: str) -> None:
    assert verl.compute_score_blocking_of(address)("data", "an apple", GOOD, None) == {
        "score": 1.0,
        "raw": 1.0,
        "flags": 0.0,
        "explicit": 1.0,
        "implicit": 0.0,
        "negative": 0.0,
    }


def test_openrlhf_gets_lists_and_an_exception_or_the_chosen_number_for_none(address: str) -> None:
    queries, prompts = ["<s>Q: an apple</s>", "<s>Q: a pear</s>"], ["Q:", "Q:"]
    assert openrlhf.reward_func_of(address)(queries, prompts, [GOOD, GOOD]) == {
        "rewards": [1.0, 0.0],
        "scores": [1.0, 0.0],
        "extra_logs": {"unscored": [0.0, 0.0]},
    }
    with pytest.raises(Unjudged, match=r"queries\[1\]: c2 is unscored"):
        openrlhf.reward_func_of(address)(queries, prompts, [GOOD, LOST])
    chosen = openrlhf.reward_func_of(address, unscored=-1.0)(queries, prompts, [GOOD, LOST])
    assert (chosen["rewards"], chosen["extra_logs"]["unscored"]) == ([1.0, -1.0], [0.0, 1.0])
    with pytest.raises(Unjudged, match=r"queries\[0\]: .* blank"):
        openrlhf.reward_func_of(address)(["Q:</s>"], ["Q:"], [GOOD])
    with pytest.raises(InvalidRequest, match="does not begin with its prompt"):
        openrlhf.reward_func_of(address)(["other"], ["Q:"], [GOOD])


def sample(response: str, label: str) -> Any:
    return SimpleNamespace(prompt="fruit?", response=response, label=label, remove_sample=False)


async def test_slime_removes_a_sample_without_a_reward_and_no_mean_is_moved(address: str) -> None:
    reward = slime.reward_of(address)
    group = [sample("an apple", GOOD), sample("a pear", GOOD), sample("an apple", LOST), sample("", GOOD)]
    rewards = await reward(None, group)
    assert rewards == [1.0, 0.0, 0.5, 0.5]
    assert [one.remove_sample for one in group] == [False, False, True, True]
    assert sum(rewards) / 4 == sum(rewards[:2]) / 2


async def test_slime_has_no_number_for_a_group_or_a_lone_sample_without_a_reward(address: str) -> None:
    reward = slime.reward_of(address)
    assert await reward(None, sample("an apple", GOOD)) == 1.0
    with pytest.raises(Unjudged, match="--group-rm"):
        await reward(None, sample("an apple", LOST))
    with pytest.raises(Unjudged, match="no report of the group"):
        await reward(None, [sample("an apple", LOST)] * 2)


def test_areals_reward_is_pickled_and_stays_under_its_timeout(address: str) -> None:
    reward = pickle.loads(pickle.dumps(areal.ChecklistReward(address)))  # noqa: S301 - ours
    assert reward.grader.timeout < areal.ITS_TIMEOUT
    assert reward("fruit?", "an apple", [1], [2], rubric=GOOD, task="x") == 1.0
    with pytest.raises(Unjudged):
        reward("fruit?", "an apple", [1], [2], rubric=LOST)
    with pytest.raises(Unjudged, match="blank"):
        reward("fruit?", "", [1], [2], rubric=GOOD)
    with pytest.raises(InvalidRequest, match="no column"):
        reward("fruit?", "an apple", [1], [2])
    with pytest.raises(InvalidRequest, match=r"AReaL's own 15 s"):
        areal.ChecklistReward(address, timeout=20.0)
