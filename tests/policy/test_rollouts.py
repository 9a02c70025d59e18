"""Many episodes: bounded, resumable, judged by group, failures recorded as failures."""

from __future__ import annotations

import asyncio
import json

import pytest

from judger.client import connect, make_criteria
from policy import trajectory
from policy.cli import main
from policy.config import Settings
from policy.errors import ConfigError, InUse, ModelAway, ModelError
from policy.index.store import LocalIndex
from policy.judging import judge_records
from policy.kit import Shared
from policy.models.scripted import ScriptedModel, calls, says
from policy.rollouts import Rollouts, Task, read_tasks

CRITERIA = ("names the year", "cites a source")


def _steps(report="The year is 1825 \\cite{a#1}."):
    return [calls(("todo", {"items": ["look"]})), calls(("search", {"queries": ["year"]})), says(report)]


@pytest.fixture
def index(tmp_path):
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "a.md").write_text("The year was 1825.")
    return Shared.local(LocalIndex.in_memory(folder))


def _rollouts(tmp_path, index, make_model=None, **keywords):
    def default(episode, kit):
        return ScriptedModel(_steps(), start=episode.turns)

    return Rollouts(tmp_path / "out.jsonl", Settings(), index, make_model or default, **keywords)


def _records(tmp_path):
    return {record["id"]: record for record in trajectory.read_records(tmp_path / "out.jsonl")}


async def test_every_task_is_run_g_times_within_the_bound(tmp_path, index):
    running = most = 0
    full = asyncio.Event()

    class Counting(ScriptedModel):
        async def complete(self, *args, **keywords):
            nonlocal running, most
            running += 1
            most = max(most, running)
            try:
                if running == 4:
                    full.set()
                async with asyncio.timeout(60):
                    await full.wait()  # the first ones, for as many as may be at once
                return await super().complete(*args, **keywords)
            finally:
                running -= 1

    tasks = [Task(f"t{n}", "When?") for n in range(6)]
    make = lambda episode, kit: Counting(_steps(), delay=0.001)  # noqa: E731
    await _rollouts(tmp_path, index, make, concurrency=4, group=3).run(tasks)
    records = _records(tmp_path)
    assert set(records) == {f"t{n}/{g}" for n in range(6) for g in range(3)}
    assert all(record["status"] == "done" and record["task"] in record["id"] for record in records.values())
    assert most == 4
    assert not (tmp_path / "out.jsonl.work").exists()


async def test_a_failed_episode_is_a_record_without_a_reward_and_harms_no_other(tmp_path, index):
    made = 0

    def make(episode, kit):
        nonlocal made
        made += 1
        return ScriptedModel([ModelError("out of luck")] if made == 2 else _steps())

    await _rollouts(tmp_path, index, make, group=3, concurrency=1).run([Task("t", "When?")])
    statuses = [record["status"] for record in _records(tmp_path).values()]
    assert sorted(statuses) == ["done", "done", "failed"]
    failed = next(record for record in _records(tmp_path).values() if record["status"] == "failed")
    assert (failed["reason"], failed["report"], failed["reward"]) == ("out of luck", "", None)


async def test_a_bug_in_one_episode_is_recorded_as_its_failure(tmp_path, index, caplog):
    def make(episode, kit):
        raise RuntimeError("bug")

    await _rollouts(tmp_path, index, make).run([Task("t", "When?")])
    (record,) = _records(tmp_path).values()
    assert (record["status"], record["reason"]) == ("failed", "RuntimeError: bug")
    assert "episode t/0 failed" in caplog.text


async def test_a_run_that_was_cut_goes_on_without_doing_anything_twice(tmp_path, index):
    asked: list[str] = []
    reached = asyncio.Event()

    class Cut(ScriptedModel):
        async def complete(self, messages, *args, **keywords):
            asked.append(messages[1]["content"])
            if len(asked) == 8 and not reached.is_set():
                reached.set()
                await asyncio.Event().wait()
            return await super().complete(messages, *args, **keywords)

    def make(episode, kit):
        return Cut(_steps(), start=episode.turns)

    tasks = [Task(f"t{n}", f"When? {n}") for n in range(5)]
    first = asyncio.create_task(_rollouts(tmp_path, index, make, concurrency=1).run(tasks))
    await reached.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert len(_records(tmp_path)) == 2
    await _rollouts(tmp_path, index, make, concurrency=1).run(tasks)
    assert [r["status"] for r in _records(tmp_path).values()] == ["done"] * 5
    assert len(asked) == 5 * 3 + 1
    await _rollouts(tmp_path, index, make, concurrency=1).run(tasks)
    assert len(asked) == 5 * 3 + 1


async def test_a_group_is_judged_as_one_and_failures_stay_out_of_it(tmp_path, index, scripted_server):
    made = 0

    def make(episode, kit):
        nonlocal made
        made += 1
        return ScriptedModel([ModelError("no")] if made == 1 else _steps(f"Report {made}."))

    (tmp_path / "tasks.jsonl").write_text(json.dumps({"id": "t", "query": "When?", "criteria": list(CRITERIA)}))
    tasks = read_tasks(tmp_path / "tasks.jsonl")
    async with connect(scripted_server.address) as judge:
        await _rollouts(tmp_path, index, make, group=3, judge=judge).run(tasks)
    records = _records(tmp_path)
    judged = [record for record in records.values() if record["report"]]
    assert len(judged) == 2
    for record in judged:
        assert isinstance(record["reward"], float)
        assert [verdict["criterion_id"] for verdict in record["verdicts"]] == ["c1", "c2"]
        assert record["judge_id"]
    (failed,) = (record for record in records.values() if not record["report"])
    assert failed["reward"] is None
    assert failed["verdicts"] == []


async def test_a_judge_that_is_away_is_an_error_in_the_record_and_no_number(tmp_path, index):
    tasks = [Task("t", "When?", ())]
    (tmp_path / "tasks.jsonl").write_text(json.dumps({"id": "t", "query": "When?", "criteria": ["a"]}))
    tasks = read_tasks(tmp_path / "tasks.jsonl")
    async with connect("127.0.0.1:1", max_attempts=1, timeout=60) as judge:
        await _rollouts(tmp_path, index, judge=judge).run(tasks)
    (record,) = _records(tmp_path).values()
    assert record["status"] == "done"
    assert record["reward"] is None
    assert record["judge_error"].startswith("Unavailable")


async def test_a_report_that_the_judge_refuses_is_an_error_in_its_record_alone(scripted_server):
    records = [{"report": text} for text in ("It was 1825.", "", "x" * 3_000_000, "It was 1826.")]
    async with connect(scripted_server.address) as judge:
        found = await judge_records(records, "When?", make_criteria(["1825"]), judge)
    assert [record.get("reward") for record in found] == [1.0, None, None, 0.0]
    assert found[1] == records[1]
    assert found[2]["judge_error"].startswith("InvalidRequest: reports[1]: has 3,000,000 bytes")


def test_every_fault_of_a_task_file_is_named_before_anything_runs(tmp_path):
    lines = ["{", "[]", '{"id": "a"}', '{"id": "a", "query": "q"}', '{"id": "a", "query": "q"}']
    lines += ['{"id": "b", "query": "q", "criteria": [3]}', '{"id": "c", "query": "q", "criteria": [{"text": " "}]}']
    path = tmp_path / "t.jsonl"
    path.write_text("\n".join(lines))
    with pytest.raises(ConfigError) as caught:
        read_tasks(path)
    faults = str(caught.value).splitlines()
    assert [fault.split(": ")[0] for fault in faults] == [f"{path}:{n}" for n in (1, 2, 3, 5, 6, 7)]
    assert "query: must be a text" in faults[2]
    assert "criteria[0].text" in faults[5]


def test_the_command_runs_tasks_against_an_endpoint(tmp_path, loopback, capsys):
    reply = {
        "id": "x", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "A report."}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8},
    }  # fmt: skip
    server = loopback(lambda _: (200, {"content-type": "application/json"}, json.dumps(reply).encode()))
    (tmp_path / "t.jsonl").write_text('{"id": "a", "query": "q"}\n{"id": "b", "query": "q"}\n')
    command = ["rollouts", str(tmp_path / "t.jsonl"), "-o", str(tmp_path / "out.jsonl"), "--group", "2"]
    assert main([*command, "--model", "m", "--base-url", server.url]) == 0
    assert len(_records(tmp_path)) == 4
    assert "4 done" in capsys.readouterr().err
    assert main([*command, "--model", "m", "--base-url", server.url]) == 0
    assert "nothing was missing" in capsys.readouterr().err
    assert main([*command, "--group", "0"]) == 2


async def test_failed_episodes_are_run_again_where_that_is_asked_for(tmp_path, index):
    made = 0

    def make(episode, kit):
        nonlocal made
        made += 1
        return ScriptedModel([ModelError("out of luck")] if made == 1 else _steps(), start=episode.turns)

    tasks = [Task("t", "When?")]
    await _rollouts(tmp_path, index, make, group=2, concurrency=1, keep_workspaces=True).run(tasks)
    first = _records(tmp_path)
    await _rollouts(tmp_path, index, make, group=2, keep_workspaces=True).run(tasks)
    assert _records(tmp_path) == first
    assert sorted(record["status"] for record in first.values()) == ["done", "failed"]
    await _rollouts(tmp_path, index, make, group=2, retry_failed=True, keep_workspaces=True).run(tasks)
    again = _records(tmp_path)
    assert made == 3
    assert [record["status"] for record in again.values()] == ["done", "done"]
    assert len(list(trajectory.read_records(tmp_path / "out.jsonl"))) == 2
    kept = next(key for key, record in first.items() if record["status"] == "done")
    assert again[kept] == first[kept]


async def test_reports_without_a_judgement_are_judged_later_without_their_episodes(tmp_path, index, scripted_server):
    made = 0

    def make(episode, kit):
        nonlocal made
        made += 1
        return ScriptedModel(_steps())

    (tmp_path / "tasks.jsonl").write_text(json.dumps({"id": "t", "query": "When?", "criteria": list(CRITERIA)}))
    tasks = read_tasks(tmp_path / "tasks.jsonl")
    async with connect("127.0.0.1:1", max_attempts=1, timeout=60) as away:
        await _rollouts(tmp_path, index, make, group=2, judge=away).run(tasks)
    assert all(record["judge_error"] for record in _records(tmp_path).values())
    async with connect(scripted_server.address) as judge:
        await _rollouts(tmp_path, index, make, group=2, judge=judge).run(tasks)
    records = _records(tmp_path)
    assert made == len(records) == 2
    for record in records.values():
        assert isinstance(record["reward"], float)
        assert (record["judge_error"], record["report"]) == ("", "The year is 1825 \\cite{a#1}.")
    async with connect("127.0.0.1:1", max_attempts=1, timeout=60) as away:
        await _rollouts(tmp_path, index, make, group=2, judge=away).run(tasks)
    assert _records(tmp_path) == records


async def test_an_outage_leaves_episodes_open_and_the_next_run_goes_on_where_they_were(tmp_path, index):
    away, asked = True, []

    class Model(ScriptedModel):
        async def complete(self, messages, *args, **keywords):
            if away and len(messages) > 2 and messages[1]["content"] in ("1", "2"):
                raise ModelAway("503")
            asked.append(messages[1]["content"])
            return await super().complete(messages, *args, **keywords)

    def make(episode, kit):
        return Model(_steps(), start=episode.turns)

    tasks = [Task(f"t{n}", str(n)) for n in range(5)]
    first = _rollouts(tmp_path, index, make, concurrency=2)
    await first.run(tasks)
    assert (first.left_open, set(_records(tmp_path))) == (2, {"t0/0", "t3/0", "t4/0"})
    away = False
    await _rollouts(tmp_path, index, make, concurrency=2, retry_failed=True).run(tasks)
    assert {record["status"] for record in _records(tmp_path).values()} == {"done"}
    assert sorted(asked) == sorted("01234" * 3)
    assert not (tmp_path / "out.jsonl.work").exists()


async def test_a_model_that_is_away_for_all_ends_the_run_with_everything_to_go_on(tmp_path, index):
    tasks = [Task(f"t{n}", "When?") for n in range(9)]
    away = lambda episode, kit: ScriptedModel([ModelAway("503")])  # noqa: E731
    with pytest.raises(ExceptionGroup) as caught:
        await _rollouts(tmp_path, index, away, concurrency=2).run(tasks)
    assert caught.group_contains(ModelAway)
    assert _records(tmp_path) == {}
    await _rollouts(tmp_path, index).run(tasks)
    assert len(_records(tmp_path)) == 9


async def test_two_runs_into_one_file_are_refused(tmp_path, index):
    other = _rollouts(tmp_path, index)

    def make(episode, kit):
        with pytest.raises(InUse, match=r"out\.jsonl: another process"), other._alone():
            pass
        return ScriptedModel(_steps())

    await _rollouts(tmp_path, index, make).run([Task("t", "When?")])
    assert [record["status"] for record in _records(tmp_path).values()] == ["done"]


@pytest.mark.parametrize("weights", [(0,), (float("nan"),), (float("inf"),), ("same", "same")])
def test_a_rubric_that_a_judge_would_refuse_is_refused_before_the_first_episode(tmp_path, capsys, weights):
    criteria = [{"id": "c", "text": "a"} if w == "same" else {"text": "a", "weight": w} for w in weights]
    (tmp_path / "t.jsonl").write_text(json.dumps({"id": "a", "query": "q", "criteria": criteria}))
    command = ["rollouts", str(tmp_path / "t.jsonl"), "-o", str(tmp_path / "out.jsonl"), "--model", "m"]
    assert main(command) == 2
    assert "t.jsonl:1: criteria[" in capsys.readouterr().err
    (tmp_path / "r.json").write_text(json.dumps(criteria))
    (tmp_path / "t.jsonl").write_text(json.dumps({"id": "a", "query": "q"}))
    assert main([*command, "--rubric", str(tmp_path / "r.json")]) == 2
    assert not (tmp_path / "out.jsonl").exists()


def test_line_ends_of_unicode_do_not_cut_a_task(tmp_path):
    query = "one\u2028two\u0085three\x0cfour"
    (tmp_path / "t.jsonl").write_text(json.dumps({"id": "a", "query": query}, ensure_ascii=False) + "\r\n")
    assert read_tasks(tmp_path / "t.jsonl") == [Task("a", query)]


@pytest.mark.parametrize("rest", [b"", b"cut", b"x" * 300_000])
def test_a_record_is_added_behind_the_last_whole_line(tmp_path, rest):
    path = tmp_path / "out.jsonl"
    for before in (b"", b'{"id": "' + b"y" * 200_000 + b'"}\n'):
        path.write_bytes(before + rest)
        trajectory.append(path, {"id": "new"})
        assert path.read_bytes() == before + b'{"id":"new"}\n'
