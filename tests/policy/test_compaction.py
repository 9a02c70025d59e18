"""Summaries that the model writes, and what stands in their place where it does not."""

from __future__ import annotations

import json

import pytest

from policy.episode import Episode
from policy.errors import ContextFull, ModelAway, ModelError
from policy.events import Compacted, Replied
from policy.models.scripted import ScriptedModel, calls, says
from policy.replay import rerun
from policy.tools.notes import note
from policy.trajectory import events_of, record_of
from policy.workspace.files import Workspace


def _long(n: int) -> str:
    """Makes a long text.

    Args:
        n: How many lines.
    """
    return "\n".join(
        f"line {i}: " + ("the mill wheel turned at dawn" if i == 700 else "nothing of note") for i in range(n)
    )


def _summing(*steps, summary):
    """The steps, and `summary` whenever the model is asked to sum up."""
    left = iter(steps)

    def next_step(messages):
        step = summary if "will be taken out" in messages[-1]["content"] else next(left)
        if isinstance(step, Exception):
            raise step
        return step

    return [next_step] * (len(steps) + 20)


WRITTEN = says("The mill was rebuilt in 1825 [mill#2]; the price is not known yet.")


@pytest.mark.parametrize(
    ("summary", "is_written"),
    [
        (WRITTEN, True),
        (ModelError("boom"), False),
        (ContextFull("too long"), False),
        (calls(("todo", {"items": ["x"]})), False),
        (says(""), False),
        (says('<tool_call>{"name": "x"}</tool_call>'), False),
    ],
)
async def test_a_summary_is_written_by_the_model_where_it_is_asked_to_and_is_extracted_where_it_does_not(
    bench, summary, is_written, tmp_path
):
    noted = calls(("todo", {"items": ["[~] find the mill"]}), thought="First I plan the work. Then more.")
    steps = [noted, *[calls(("_long", {"n": 60})) for _ in range(12)], says("r")]
    b = bench(_summing(*steps, summary=summary), _long, context={"tokens": 2000, "keep_turns": 2, "summary": "model"})
    episode = await b.run("When did the mill wheel turn?")
    compactions = [event for event in b.events if isinstance(event, Compacted)]
    assert (episode.status, episode.turns) == ("done", 14)
    assert len(compactions) > 2
    for event in compactions:
        assert event.written == (WRITTEN.content if is_written else "")
        assert ("price is not known yet" in event.summary["content"]) == is_written
        assert ("What you did, in order" in event.summary["content"]) != is_written
        assert "[~] find the mill" in event.summary["content"]
    # What it cost is in the budget, and all of it is in the record.
    assert episode.total_tokens == sum(
        e.prompt_tokens + e.completion_tokens for e in b.events if hasattr(e, "written")
    ) + sum(e.prompt_tokens + e.completion_tokens for e in b.events if isinstance(e, Replied))
    record = record_of(episode)
    assert [e for e in events_of(record) if isinstance(e, Compacted)] == compactions
    settings = json.dumps({"agent": {"context": b.config.context.model_dump()}})
    again = await rerun({**record, "settings": settings}, Workspace(tmp_path / "again"))
    assert [e.summary for e in again.events if isinstance(e, Compacted)] == [e.summary for e in compactions]
    assert (again.messages, again.total_tokens) == (episode.messages, episode.total_tokens)


async def test_what_was_noted_stays_beside_a_summary_that_the_model_wrote(bench):
    steps = [
        calls(("note", {"findings": ["Rebuilt in 1825 [mill#2]"]})),
        *[calls(("_long", {"n": 60})) for _ in range(12)],
        says("r"),
    ]
    b = bench(
        _summing(*steps, summary=WRITTEN), _long, note, context={"tokens": 2000, "keep_turns": 2, "summary": "model"}
    )
    await b.run("When?")
    last = [event for event in b.events if isinstance(event, Compacted)][-1].summary["content"]
    assert "Rebuilt in 1825 [mill#2]" in last
    assert WRITTEN.content in last


async def test_a_model_that_is_away_while_it_sums_up_leaves_the_episode_open(bench):
    steps = [*[calls(("_long", {"n": 60})) for _ in range(12)], says("r")]
    b = bench(
        _summing(*steps, summary=ModelAway("gone")),
        _long,
        context={"tokens": 2000, "keep_turns": 2, "summary": "model"},
    )
    episode = b.started("When?")
    with pytest.raises(ModelAway):
        await b.agent().run(episode)
    assert episode.finished is None
    before = episode.turns
    b.model = ScriptedModel(_summing(*steps[before:], summary=WRITTEN))
    done = await b.agent().run(Episode.of(episode.events))
    assert done.status == "done"


async def test_a_summary_that_is_far_too_long_is_cut_and_says_so(bench):
    steps = [*[calls(("_long", {"n": 60})) for _ in range(12)], says("r")]
    config = {"tokens": 2000, "keep_turns": 2, "summary": "model"}
    b = bench(_summing(*steps, summary=says("Endless. " * 5000)), _long, context=config)
    episode = await b.run("When?")
    last = [event for event in b.events if isinstance(event, Compacted)][-1]
    assert "[cut off here: it was to have" in last.summary["content"]
    assert episode.status == "done"
    assert sum(len(message["content"]) for message in b.model.seen[-1]) < 4 * 2000
