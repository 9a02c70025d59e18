"""An episode run again on its record."""

from __future__ import annotations

import json

from policy import replay, trajectory
from policy.model import Completion, ToolCall
from policy.models.scripted import calls, says
from policy.workspace.files import Workspace


def _strip(record):
    """What must be equal: all but the seconds, and the files that long observations went to."""
    steps = [{k: v for k, v in step.items() if k not in ("seconds", "stored")} for step in record["steps"]]
    usage = {k: v for k, v in record["usage"].items() if k != "seconds"}
    return {**record, "steps": steps, "usage": usage}


async def test_the_loop_gives_the_same_record_on_recorded_replies_and_observations(bench, tmp_path):
    steps = [
        calls(("todo", {"items": ["one"]}), ("file", {"command": "write", "path": "r.md", "text": "The report."})),
        Completion(
            tool_calls=(ToolCall("c9", "file", "{broken"),), prompt_tokens=9, completion_tokens=2, logprobs=(-1.0,)
        ),
        calls(("file", {"command": "list"})),
        calls(("todo", {"items": []}), ("file", {"command": "list"})),
        says(""),
        says("r.md"),
    ]
    record = json.loads(json.dumps(trajectory.record_of(await bench(steps).run())))
    episode = await replay.rerun(record, replay.restored(record, tmp_path / "again"))
    assert _strip(trajectory.record_of(episode)) == _strip(record)


async def test_a_call_that_was_never_made_is_answered_so(bench, tmp_path):
    record = trajectory.record_of(await bench([says("R.")]).run())
    outcome = await replay.RecordedTools(record).call(ToolCall("c", "search", '{"queries": ["x"]}'))
    assert outcome.is_error
    assert "not made in the recorded episode" in outcome.text
    assert (await replay.rerun(record, Workspace(tmp_path / "again"))).finished.report == "R."
