"""One report graded, whatever a library hands over."""

from __future__ import annotations

import asyncio
import pickle

import pytest

from judger.errors import InvalidRequest, Unavailable
from judger.integrations._common import Grader, Unjudged
from tests.ports import free_port

CHAT = [{"role": "user", "content": "fruit?"}]
SAID = [{"role": "assistant", "content": "<think> a pear </think> an apple"}]
NOWHERE = "127.0.0.1:1"


async def test_texts_and_chats_get_the_same_reward_and_thoughts_earn_none(address: str) -> None:
    grader = Grader(address=address)
    rubric = '[{"text": "apple"}, {"text": "pear"}]'
    graded = await grader.grade_all(["fruit?", CHAT], ["an apple", SAID], [rubric, rubric])
    assert [one.value for one in graded] == [0.5, 0.5]
    assert (await Grader(address=address, reasoning=True).grade(CHAT, SAID, rubric)).value == 1.0


async def test_a_missing_reward_says_why(address: str) -> None:
    grader = Grader(address=address, patience=0.0)
    lost = await grader.grade("", "report", ["[[unscored=too_long]]"])
    assert (lost.value, lost.why, lost.passing) == (None, "c1 is unscored (too_long: scripted)", False)
    late = await Grader(address=address, timeout=0.3, patience=0.0).grade("", "report", ["[[slow=1]]"])
    assert (late.value, late.passing) == (None, True)
    long = await grader.grade("", "x" * (2**21 + 1), ["a"])
    assert (long.value, long.passing) == (None, False)
    assert "more than the limit" in long.why
    with pytest.raises(Unjudged, match="too_long"):
        lost.needed()


async def test_a_blank_report_has_no_reward_or_the_number_that_was_named(address: str) -> None:
    for completion in ("", "  ", "<think>only thoughts", []):
        graded = await Grader(address=address).grade("q", completion, ["a"])
        assert (graded.value, graded.passing) == (None, False)
        assert "the report is blank" in graded.why
        with pytest.raises(Unjudged, match="blank"):
            graded.needed()
        assert (await Grader(address=address, blank=0.0).grade("q", completion, ["a"])).value == 0.0
    with pytest.raises(InvalidRequest, match="blank"):
        await Grader(address=address, blank=float("nan")).grade("q", "report", ["a"])
    with pytest.raises(InvalidRequest, match="rubric"):
        await Grader(address=address, blank=0.0).grade("q", "", [])


async def test_bad_data_and_a_server_that_stays_away_raise(address: str) -> None:
    with pytest.raises(InvalidRequest, match="rubric"):
        await Grader(address=address).grade_all(["q"], ["report"], [None])
    with pytest.raises(Unavailable):
        await Grader(address=NOWHERE, patience=0.3, timeout=10.0).grade("q", "report", ["a"])


async def test_a_server_that_comes_late_is_waited_for() -> None:
    from judger.config import ServeConfig
    from judger.engines.scripted import ScriptedEngine
    from judger.server.process import running

    port = free_port()
    asking = asyncio.create_task(Grader(address=f"127.0.0.1:{port}", patience=60).grade("", "an apple", ["apple"]))
    await asyncio.sleep(0)
    async with running(ServeConfig(engine="scripted", port=port, grace=1.0), ScriptedEngine()):
        assert (await asking).value == 1.0


def test_a_grader_is_pickled_and_blocks_where_it_has_to(address: str) -> None:
    grader = pickle.loads(pickle.dumps(Grader(address=address)))  # noqa: S301 - ours
    assert grader.wait(grader.grade("", "an apple", ["apple"])).value == 1.0
