"""The reward function that verl calls, without verl: what the recipe's own tests run inside it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from judger.config import ServeConfig
from judger.engines.scripted import ScriptedEngine
from judger.errors import Unavailable
from judger.server.process import Running, running
from train.verl.reward import Unjudged, compute_score

INFO = {"query": "Who?", "report": "A report."}


def truth(*criteria: dict[str, Any]) -> str:
    return json.dumps(criteria)


async def test_the_figures_are_the_reward_and_the_share_of_each_role(scripted_server: Running) -> None:
    criteria = truth(
        {"text": "[[fully]]", "weight": 3},
        {"text": "[[not]]", "weight": 1, "role": "implicit"},
        {"text": "[[partially]]", "weight": -2},
    )
    figures = await compute_score("t", "", criteria, INFO, address=scripted_server.address)
    assert figures == {
        "score": pytest.approx(1 / 4),
        "raw": 1.0,
        "flags": 0.0,
        "unread": 0.0,
        "explicit": 1.0,
        "implicit": 0.0,
        "negative": 1.0,
    }


async def test_an_unscored_criterion_is_no_reward_but_an_exception(scripted_server: Running) -> None:
    criteria = truth({"text": "[[fully]]"}, {"text": "[[unscored=too_long]]"})
    with pytest.raises(Unjudged, match=r"c2 is unscored \(too_long"):
        await compute_score("t", "", criteria, INFO, address=scripted_server.address)


async def test_a_judge_that_is_away_is_waited_for_and_no_longer_than_patience(unused_address: str) -> None:
    host, _, port = unused_address.rpartition(":")
    waiting = asyncio.create_task(
        compute_score("t", "", truth({"text": "[[fully]]"}), INFO, address=unused_address, timeout=2, patience=60)
    )
    await asyncio.sleep(3.0)  # longer than the timeout: it is patience that holds
    assert not waiting.done()
    async with running(ServeConfig(engine="scripted", host=host, port=int(port), grace=1.0), ScriptedEngine()):
        assert (await waiting)["score"] == 1.0
    with pytest.raises(Unavailable):
        await compute_score("t", "", truth({"text": "x"}), INFO, address="127.0.0.1:1", timeout=2, patience=0.5)
