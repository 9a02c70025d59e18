"""The loop: what ends it, what it forgives, what it may spend."""

from __future__ import annotations

import asyncio
import itertools
import time

import pytest

from policy.episode import Episode
from policy.errors import ContextFull, ModelAway, ModelError
from policy.events import Compacted, Observed, Replied
from policy.model import Completion, ToolCall
from policy.models.scripted import calls, says
from policy.tools.base import Toolbox, tool


def _contents(episode: Episode) -> list[str]:
    return [message["content"] for message in episode.messages]


async def test_a_reply_without_calls_is_the_report(bench):
    episode = await bench([says("The report.")]).run()
    assert episode.status == "done"
    assert episode.finished.report == "The report."


async def test_a_reply_that_is_a_file_name_hands_in_the_file(bench):
    write = calls(("file", {"command": "write", "path": "out/report.md", "text": "# Whole report\n"}))
    episode = await bench([write, says("`out/report.md`")]).run()
    assert episode.finished.report == "# Whole report"


async def test_calls_of_one_turn_are_carried_out_in_order_and_observed_one_each(bench):
    two = calls(
        ("file", {"command": "write", "path": "a.txt", "text": "one"}), ("file", {"command": "read", "path": "a.txt"})
    )
    b = bench([two, says("done")])
    episode = await b.run()
    observed = [event for event in b.events if isinstance(event, Observed)]
    assert [event.is_error for event in observed] == [False, False]
    assert [m["tool_call_id"] for m in episode.messages if m["role"] == "tool"] == ["call_0", "call_1"]
    assert "one" in observed[1].message["content"]


@pytest.mark.parametrize(
    ("call", "says_what"),
    [
        (ToolCall("c", "file", "{not json"), "not valid JSON"),
        (ToolCall("c", "file", "[1]"), "must be a JSON object"),
        (ToolCall("c", "fly", "{}"), "no tool named 'fly'"),
        (ToolCall("c", "file", '{"command": "burn"}'), "Wrong arguments: command"),
        (ToolCall("c", "file", '{"command": "list", "colour": 1}'), "colour"),
        (ToolCall("c", "todo", "{}"), "items"),
    ],
)
async def test_a_malformed_call_becomes_an_observation_that_says_what_to_do(bench, call, says_what):
    b = bench([Completion(tool_calls=(call,)), says("done")])
    episode = await b.run()
    assert episode.status == "done"
    assert says_what in episode.messages[3]["content"]
    assert next(event for event in b.events if isinstance(event, Observed)).is_error


async def test_a_call_that_could_not_even_be_read_is_answered_with_the_fault(bench):
    broken = Completion(content="<tool_call>{oops</tool_call>", malformed=("a tool call is not valid JSON",))
    episode = await bench([broken, says("done")]).run()
    assert episode.messages[3]["role"] == "user"
    assert "send it again" in episode.messages[3]["content"]


async def test_an_empty_reply_is_asked_again(bench):
    episode = await bench([says(""), says("now")]).run()
    assert episode.finished.report == "now"
    assert "nothing that is a report" in _contents(episode)[3]


async def test_a_call_in_the_words_of_another_family_is_no_report(bench):
    written = '[TOOL_CALLS][{"name": "search", "arguments": {"queries": ["mill"]}}]'
    episode = await bench([says(written), says("now")]).run()
    assert episode.finished.report == "now"
    assert "nothing that is a report" in _contents(episode)[3]


async def test_a_reply_cut_off_is_no_report(bench):
    episode = await bench([Completion(content="half a rep", finish="length"), says("whole")]).run()
    assert episode.finished.report == "whole"
    assert "cut off" in _contents(episode)[3]


async def test_a_tool_with_a_bug_ends_as_an_observation(bench, caplog):
    def broken(x: str) -> str:
        """Breaks.

        Args:
            x: Anything.
        """
        raise KeyError(x)

    episode = await bench([calls(("broken", {"x": "1"})), says("done")], broken).run()
    assert "broken failed: KeyError" in episode.messages[3]["content"]
    assert "tool broken failed" in caplog.text


async def test_the_last_turn_is_kept_for_the_report(bench):
    looking = calls(("todo", {"items": ["look"]}))
    b = bench([looking, looking, says("what I have")], budget={"turns": 3})
    episode = await b.run()
    assert (episode.status, episode.finished.reason) == ("forced", "3 turns")
    assert "budget is used up (3 turns)" in b.model.seen[-1][-1]["content"]


async def test_calls_on_the_last_turn_are_not_carried_out(bench):
    looking = calls(("todo", {"items": ["look"]}))
    episode = await bench([looking, looking], budget={"turns": 2}).run()
    assert episode.status == "failed"
    assert "no report" in episode.finished.reason
    assert episode.tool_calls == 1


async def test_the_budget_of_tool_calls_holds_within_a_turn_too(bench):
    many = calls(*[("todo", {"items": [f"step {n}"]}) for n in range(5)])
    b = bench([many, says("report")], budget={"tool_calls": 3})
    episode = await b.run()
    refused = [event for event in b.events if isinstance(event, Observed) and event.is_error]
    assert len(refused) == 2
    assert str(b.todo) == "[ ] step 2"
    assert episode.status == "forced"


async def test_the_budget_of_tokens_and_of_seconds_force_a_report(bench):
    looking = Completion(
        tool_calls=(ToolCall("c", "todo", '{"items": ["x"]}'),), prompt_tokens=900, completion_tokens=200
    )
    by_tokens = await bench([looking, says("r")], budget={"total_tokens": 1000}).run()
    assert by_tokens.finished.reason == "1,000 tokens"
    by_time = await bench([looking, says("r")], budget={"seconds": 1e-9}).run()
    assert by_time.finished.reason == "1e-09 seconds"


async def test_a_model_that_fails_ends_the_episode_as_failed_with_its_reason(bench):
    episode = await bench([calls(("todo", {"items": ["x"]})), ModelError("the endpoint failed: 503")]).run()
    assert (episode.status, episode.finished.reason) == ("failed", "the endpoint failed: 503")


async def test_the_plan_and_the_budget_are_shown_after_every_turn(bench):
    episode = await bench([calls(("todo", {"items": ["[x] read", "write"]})), says("r")]).run()
    assert episode.messages[3]["content"].endswith("[todo]\n[x] read\n[ ] write\n\n[turn 1 of 30, 119 tool calls left]")


def _long(n: int) -> str:
    """Makes a long text.

    Args:
        n: How many lines.
    """
    return "\n".join(
        f"line {i}: " + ("the mill wheel turned at dawn" if i == 700 else "nothing of note") for i in range(n)
    )


async def test_a_long_observation_is_stored_and_shown_in_extract(bench):
    b = bench([calls(("_long", {"n": 2000})), says("r")], _long)
    episode = await b.run("When did the mill wheel turn?")
    shown = episode.messages[3]["content"]
    assert len(shown) < 3000
    assert "701: line 700: the mill wheel turned at dawn" in shown
    assert b.workspace.read("observations/001-0-_long.txt") == _long(2000)
    assert "observations/001-0-_long.txt" in shown


async def test_compaction_keeps_the_query_the_plan_and_the_sources_and_pairs_calls_with_results(bench):
    plan = calls(("todo", {"items": ["[~] find the mill", "[ ] write"]}), thought="First I plan the work. Then more.")
    steps = [plan, *[calls(("_long", {"n": 60})) for _ in range(12)], says("r")]
    b = bench(steps, _long, context={"tokens": 2000, "keep_turns": 2})
    episode = await b.run("When did the mill wheel turn?")
    assert any(isinstance(event, Compacted) for event in b.events)
    last = b.model.seen[-1]
    assert last[1]["content"] == "When did the mill wheel turn?"
    assert "[~] find the mill" in last[2]["content"]
    assert last[3]["role"] == "assistant"
    for before, after in itertools.pairwise(last[3:]):
        assert after["role"] != "tool" or before["role"] in ("assistant", "tool")
    assert sum(len(m["content"]) for m in last) < 4 * 2000
    assert len(episode.messages) == 2 + 13 * 2 + 1


async def test_a_model_whose_context_is_full_is_asked_again_with_a_shorter_history(bench):
    steps = [*[calls(("_long", {"n": 20})) for _ in range(6)], ContextFull("too long"), says("r")]
    b = bench(steps, _long)
    episode = await b.run()
    assert episode.status == "done"
    assert len(b.model.seen[-1]) < len(b.model.seen[-2])


async def test_an_episode_goes_on_from_every_event_it_was_cut_at(bench):
    def script():
        return [
            calls(("todo", {"items": ["a"]}), ("file", {"command": "write", "path": "r.md", "text": "report"})),
            says(""),
            calls(("file", {"command": "list"})),
            says("r.md"),
        ]

    whole = bench(script())
    done = await whole.run()
    for cut in range(1, len(done.events)):
        again = bench(script())
        events = done.events[:cut]
        again.model._next = sum(isinstance(event, Replied) for event in events)
        resumed = await again.agent().run(Episode.of(events))
        assert [m["role"] for m in resumed.messages] == [m["role"] for m in done.messages]
        assert resumed.finished.report == "report"


WRITE = calls(("file", {"command": "write", "path": "report.md", "text": "# Report\n" + "A fact. " * 80}))
REPORT = ("# Report\n" + "A fact. " * 80).strip()
LOOK = calls(("todo", {"items": ["look"]}))


@pytest.mark.parametrize("words", ["The report is in `report.md`.", "I've saved it as report.md", "report: report.md"])
async def test_a_reply_that_points_at_a_file_hands_in_that_file(bench, words):
    episode = await bench([WRITE, says(words)]).run()
    assert (episode.status, episode.finished.report) == ("done", REPORT)


@pytest.mark.parametrize(
    "last", [LOOK, says(""), says('<tool_call>{"name": "todo"'), Completion(content="x", malformed=("no call",))]
)
async def test_on_the_last_turn_a_reply_that_is_no_report_leaves_the_draft(bench, last):
    with_draft = await bench([WRITE, last], budget={"turns": 2}).run()
    assert (with_draft.status, with_draft.finished.report) == ("forced", REPORT)
    assert "as it was left" in with_draft.finished.reason


async def test_on_the_last_turn_without_a_draft_a_call_is_no_report(bench):
    again = calls(("todo", {"items": ["x"]}), content="I look once more.")
    episode = await bench([LOOK, again], budget={"turns": 2}).run()
    assert (episode.status, episode.finished.report) == ("failed", "")


async def test_a_report_cut_at_its_limit_on_the_last_turn_is_marked(bench):
    episode = await bench([LOOK, Completion(content="half a rep", finish="length")], budget={"turns": 2}).run()
    assert (episode.status, episode.finished.report) == ("forced", "half a rep")
    assert "cut off at the length limit" in episode.finished.reason


async def test_calls_that_only_read_are_made_at_once_and_seen_in_order(bench):
    begun = 0
    ended = {n: asyncio.Event() for n in (1, 2, 3, 4)}

    async def look(n: int) -> str:
        """Look.

        Args:
            n: Which.
        """
        nonlocal begun
        begun += 1
        if begun == 3:
            await asyncio.sleep(0.1)  # the seconds that must not be counted three times
            ended[4].set()
        async with asyncio.timeout(60):
            await ended[n + 1].wait()  # the last one first, and that only when all have begun
        ended[n].set()
        return f"seen {n}"

    b = bench([calls(*(("look", {"n": n}) for n in (1, 2, 3)), ("todo", {"items": ["x"]})), says("r")])
    b.tools = Toolbox([tool(look, only_reads=True), tool(b.todo.todo)])
    start = time.perf_counter()
    episode = await b.run()
    shown = [m["content"].split("\n")[0] for m in episode.messages if m["role"] == "tool"]
    assert shown[:3] == ["seen 1", "seen 2", "seen 3"]
    assert episode.seconds <= time.perf_counter() - start


async def test_a_model_that_is_away_leaves_the_episode_to_be_resumed(bench):
    b = bench([LOOK, ModelAway("down"), says("r")])
    episode = b.started()
    with pytest.raises(ModelAway):
        await b.agent().run(episode)
    assert episode.finished is None
    assert (await b.agent().run(Episode.of(episode.events))).finished.report == "r"


async def test_a_model_with_a_smaller_window_is_asked_with_histories_that_fit(bench):
    def window(messages):
        if sum(len(m["content"]) for m in messages) > 4 * 4000:
            raise ContextFull("too long", window=4000)
        return says("r") if len(seen) > 20 else calls(("_long", {"n": 100}))

    seen: list[int] = []

    def step(messages):
        seen.append(len(messages))
        return window(messages)

    episode = await bench([step] * 60, _long).run()
    assert episode.status == "done"
