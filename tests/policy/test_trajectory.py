"""The record: complete, the same after a crash, loadable, renderable."""

from __future__ import annotations

import json

import pytest

from policy import trajectory
from policy.episode import Episode
from policy.errors import ConfigError
from policy.events import from_dict, to_dict
from policy.model import Completion, ToolCall
from policy.models.scripted import calls, says

STEPS = (
    calls(("todo", {"items": ["one", "[x] two"]}), thought="Plan."),
    Completion(tool_calls=(ToolCall("c9", "file", "{broken"),), token_ids=(1, 2), logprobs=(-0.5, -0.25)),
    Completion(content="<tool_call>{", malformed=("cut off",)),
    says("Done \\cite{a#1}."),
)


async def _record(bench):
    return trajectory.record_of(await bench(STEPS).run())


async def test_every_event_survives_json(bench):
    b = bench(STEPS)
    await b.run()
    for event in b.events:
        assert from_dict(json.loads(json.dumps(to_dict(event)))) == event


async def test_a_record_replays_to_itself_without_model_or_tools(bench):
    record = await _record(bench)
    assert trajectory.record_of(Episode.of(trajectory.events_of(json.loads(json.dumps(record))))) == record


async def test_a_journal_cut_at_any_byte_gives_the_episode_up_to_the_last_whole_line(bench, tmp_path):
    path = tmp_path / "journal.jsonl"
    b = bench(STEPS)
    with trajectory.Journal(path) as journal:
        b.listeners.append(journal)
        await b.run()
    data = path.read_bytes()
    assert trajectory.read_journal(path).events == b.events
    for cut in range(0, len(data), 97):
        path.write_bytes(data[:cut])
        whole = data[:cut].count(b"\n")
        events = trajectory.read_journal(path).events
        assert len(events) in (whole, whole + 1)  # a line may lack only its end
        assert events == b.events[: len(events)]


async def test_writing_goes_on_after_a_cut_line(bench, tmp_path):
    record = await _record(bench)
    path = tmp_path / "out.jsonl"
    trajectory.append(path, record)
    with path.open("a") as file:
        file.write('{"id": "hal')
    assert [r["id"] for r in trajectory.read_records(path)] == ["e1"]
    trajectory.append(path, {**record, "id": "e2"})
    assert [r["id"] for r in trajectory.read_records(path)] == ["e1", "e2"]


def test_a_file_that_is_no_journal_is_refused_with_its_line(tmp_path):
    path = tmp_path / "journal.jsonl"
    path.write_text('{"x": 1}\n{"y": 2}\n')
    with pytest.raises(ConfigError, match=r"journal.jsonl:1: not an event"):
        trajectory.read_journal(path)


async def test_records_load_with_datasets_and_come_back_equal(bench, tmp_path):
    datasets = pytest.importorskip("datasets")
    record = await _record(bench)
    failed = trajectory.record_of(await bench([]).run())
    path = tmp_path / "out.jsonl"
    trajectory.append(path, record)
    trajectory.append(path, failed)
    loaded = datasets.load_dataset("json", data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded[0]["messages"][1]["content"] == record["query"]
    assert loaded["status"][:] == ["done", "failed"]
    assert trajectory.record_of(Episode.of(trajectory.events_of(loaded[0]))) == record


async def test_training_sequences_are_the_conversations_the_model_saw(bench):
    steps = [*[calls(("file", {"command": "list"}), content=f"Look {n}. " * 40) for n in range(12)], says("r")]
    b = bench(steps, context={"tokens": 1000, "keep_turns": 2})
    record = trajectory.record_of(await b.run())
    sequences = list(trajectory.sequences(record))
    assert len(sequences) == 1 + sum(step["kind"] == "compaction" for step in record["steps"]) > 1
    assert sequences[0][2]["tool_calls"][0]["function"]["arguments"] == {"command": "list"}
    assert [m["content"] for m in sequences[-1][:-1]] == [m["content"] for m in b.model.seen[-1]]
