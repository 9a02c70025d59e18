"""The commands, run as a user runs them."""

from __future__ import annotations

import asyncio
import json
import shlex
import shutil
import signal
import subprocess
import sys
import time

import pytest

from policy import trajectory
from policy.cli import main

DEMO = ["run", "--demo", "--pace", "0"]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The folder of a finished run, to be read."""
    out = tmp_path_factory.mktemp("demo") / "run"
    assert main([*DEMO, "--quiet", "-o", str(out)]) == 0
    return out


def test_the_demo_uses_every_tool_and_writes_the_report_in_three_forms(tmp_path, capsys):
    out = tmp_path / "run"
    assert main([*DEMO, "-o", str(out)]) == 0
    (record,) = trajectory.read_records(out / "trajectory.jsonl")
    offered = {schema["function"]["name"] for schema in json.loads(record["tools"])}
    assert {step["name"] for step in record["steps"] if step["name"]} == offered
    assert any(step["kind"] == "compaction" for step in record["steps"])
    assert any(step["stored"] for step in record["steps"])
    assert record["status"] == "done"
    markdown, page = (out / "report.md").read_text(), (out / "report.html").read_text()
    assert "put up in 1825" in markdown
    assert "\\cite" not in markdown + page
    assert "[?]" not in markdown
    shown = capsys.readouterr()
    assert str(out / "report.html") in shown.out
    assert "Search results are leads" in shown.err


def test_a_demo_cut_short_is_resumed_to_the_same_report(demo, tmp_path):
    cut = tmp_path / "cut"
    lines = (demo / "journal.jsonl").read_bytes().splitlines(keepends=True)
    cut.mkdir()
    (cut / "journal.jsonl").write_bytes(b"".join(lines[:9]) + lines[9][:30])
    assert main([*DEMO, "--quiet", "--resume", str(cut)]) == 0
    assert (cut / "report.md").read_text() == (demo / "report.md").read_text()
    assert main([*DEMO, "--quiet", "--resume", str(cut)]) == 0
    assert len(list(trajectory.read_records(cut / "trajectory.jsonl"))) == 1


def test_a_recorded_episode_is_replayed_to_the_same_report(demo, tmp_path):
    out, again = demo, tmp_path / "again"
    (record,) = trajectory.read_records(out / "trajectory.jsonl")
    assert main(["replay", str(out / "trajectory.jsonl"), "-o", str(again)]) == 0
    assert (again / record["id"] / "report.html").read_text() == (out / "report.html").read_text()
    assert main(["replay", str(out / "trajectory.jsonl"), "--id", "none"]) == 1


def test_an_index_is_made_refreshed_and_searched(tmp_path, capsys):
    (tmp_path / "a.md").write_text("# A\n\nText.\n")
    (tmp_path / "b.pdf").write_bytes(b"no pdf")
    assert main(["index", str(tmp_path), "--no-dense"]) == 0
    shown = capsys.readouterr()
    assert "1 passages (1 read, 0 unchanged, 0 dropped, 1 skipped)" in shown.out
    assert "skipped b.pdf: broken PDF" in shown.err
    assert main(["index", str(tmp_path), "--no-dense"]) == 0
    assert "0 read, 1 unchanged" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run"], "QUERY: say what to research"),
        (["run", "q", "--config", "none.toml"], "none.toml"),
        (["run", "q", "--index", "none.sqlite", "--model", "m"], "none.sqlite: no index"),
        (["run", "q"], "model.name"),
        (["run", "--resume", "nowhere"], "no run to resume"),
        (["index", "nowhere"], "nowhere: not a folder"),
        (["replay", "nowhere"], "nowhere: no such file"),
    ],
)
def test_what_the_user_wrote_wrong_is_said_in_a_line_with_status_2(arguments, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert says in capsys.readouterr().err


def test_a_model_that_fails_ends_with_status_1_and_a_record(tmp_path, loopback, capsys):
    server = loopback(lambda _: (401, {"content-type": "application/json"}, b'{"error": {"message": "bad key"}}'))
    out = tmp_path / "run"
    arguments = ["run", "q", "--model", "m", "--base-url", server.url, "-o", str(out), "--quiet"]
    assert main(arguments) == 1
    assert "bad key" in capsys.readouterr().err
    (record,) = trajectory.read_records(out / "trajectory.jsonl")
    assert record["status"] == "failed"


async def test_a_rubric_is_judged_and_stands_beside_the_report(tmp_path, scripted_server, capsys):
    rubric = tmp_path / "rubric.json"
    criteria = [{"id": "c1", "text": "names the year of the rebuilding"}, {"id": "c2", "text": "gives the price"}]
    rubric.write_text(json.dumps({"criteria": criteria}))
    out = tmp_path / "run"
    judge = ["--rubric", str(rubric), "--judge", scripted_server.address]
    assert await asyncio.to_thread(main, [*DEMO, "--quiet", "-o", str(out), *judge]) == 0
    (record,) = trajectory.read_records(out / "trajectory.jsonl")
    assert isinstance(record["reward"], float)
    assert "names the year of the rebuilding" in (out / "report.html").read_text()
    assert "## Checklist" in (out / "report.md").read_text()


def test_a_faulty_rubric_is_refused_before_anything_runs(tmp_path, capsys):
    rubric = tmp_path / "rubric.json"
    rubric.write_text('{"criteria": [{"text": "a"}, {"text": "b", "weight": "x"}]}')
    assert main([*DEMO, "--quiet", "-o", str(tmp_path / "run"), "--rubric", str(rubric)]) == 2
    assert "weight" in capsys.readouterr().err


def test_a_run_killed_between_its_end_and_its_record_gets_the_record_on_resuming(demo, tmp_path):
    out = shutil.copytree(demo, tmp_path / "run")
    (record,) = trajectory.read_records(out / "trajectory.jsonl")
    (out / "trajectory.jsonl").unlink()
    assert main([*DEMO, "--quiet", "--resume", str(out)]) == 0
    assert list(trajectory.read_records(out / "trajectory.jsonl")) == [record]


def test_a_run_in_which_nothing_happened_is_not_resumed_with_the_demos_question(tmp_path, capsys):
    (tmp_path / "journal.jsonl").touch()
    assert main(["run", "--resume", str(tmp_path), "--model", "m"]) == 2
    assert "nothing has happened in this run yet" in capsys.readouterr().err


def test_what_fails_among_many_episodes_is_one_line_and_no_group_of_exceptions(tmp_path, capsys):
    tasks, config = tmp_path / "tasks.jsonl", tmp_path / "agent.json"
    tasks.write_text(json.dumps({"id": "a", "query": "q"}) + "\n")
    config.write_text(json.dumps({"model": {"backend": "openai", "name": "m", "base_url": "http://127.0.0.1:9"}}))
    out = tmp_path / "out.jsonl"
    out.write_text("no record\n")
    assert main(["rollouts", str(tasks), "-o", str(out), "--config", str(config)]) == 2
    assert f"{out}:1: not JSON" in capsys.readouterr().err
    locked = tmp_path / "locked.jsonl"
    locked.mkdir()
    assert main(["rollouts", str(tasks), "-o", str(locked), "--config", str(config)]) == 1
    assert "Is a directory" in capsys.readouterr().err


def _completion(**message):
    reply = {"choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}]}
    return json.dumps({**reply, "usage": {"prompt_tokens": 500, "completion_tokens": 1_000}}).encode()


def _plan(step):
    function = {"name": "todo", "arguments": json.dumps({"items": [step]})}
    return _completion(content=None, tool_calls=[{"id": step, "type": "function", "function": function}])


def test_an_outage_leaves_the_run_open_and_the_command_it_prints_goes_on_with_the_same_settings(
    tmp_path, loopback, capsys
):
    answers = [_plan("first"), None, _plan("second"), _completion(content="The report.")]

    def answer(_):
        body = answers.pop(0)
        return (503, {}, b"down") if body is None else (200, {"content-type": "application/json"}, body)

    config, out = tmp_path / "agent.json", tmp_path / "a run"
    model = {"name": "m", "base_url": loopback(answer).url, "patience": 0, "input_price": 2000, "output_price": 500}
    config.write_text(json.dumps({"model": model, "agent": {"budget": {"turns": 9}}}))
    assert main(["run", "q", "--config", str(config), "-o", str(out), "--quiet"]) == 3
    said = capsys.readouterr().err
    assert "503" in said
    assert not (out / "trajectory.jsonl").exists()
    command = shlex.split(said.rpartition("go on with: ")[2])
    assert command[0] == "judger-agent"
    assert main([*command[1:], "--quiet"]) == 0
    (record,) = trajectory.read_records(out / "trajectory.jsonl")
    assert (record["report"], record["usage"]["turns"], record["usage"]["cost"]) == ("The report.", 3, 4.5)
    assert "turn 2 of 9" in record["messages"][-2]["content"]
    assert f"Today is {time.strftime('%Y-')}" in record["messages"][0]["content"]


def test_ctrl_c_prints_a_command_that_goes_on(tmp_path):
    out = tmp_path / "run"
    script = "import sys; from policy.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", script, "run", "--demo", "--pace", "5", "--quiet", "-o", str(out)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    journal = out / "journal.jsonl"
    while process.poll() is None and not (journal.exists() and journal.read_text()):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=200)[1]
    assert process.returncode == 130
    words = shlex.split(said.rpartition("go on with: ")[2])
    assert main([*words[1:], "--pace", "0", "--quiet"]) == 0
    assert "put up in 1825" in (out / "report.md").read_text()


def test_two_processes_do_not_write_one_run(demo, tmp_path, capsys):
    out = shutil.copytree(demo, tmp_path / "run")
    with trajectory.Journal(out / "journal.jsonl"):
        assert main(["run", "--resume", str(out), "--quiet", "--pace", "0"]) == 1
    assert "another process is at work on it" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["../../x", "/tmp/judger-x", "a/b", "..", "", "task/0", "x" * 400, ".hidden"])
def test_a_replayed_report_is_written_within_its_folder_whatever_the_id(demo, tmp_path, name):
    again = tmp_path / "deep" / "deep" / "again"
    (record,) = trajectory.read_records(demo / "trajectory.jsonl")
    before = {path for path in tmp_path.rglob("*")}
    trajectory.write(tmp_path / "odd.jsonl", [{**record, "id": name}])
    assert main(["replay", str(tmp_path / "odd.jsonl"), "-o", str(again)]) == 0
    made = [path for path in {*tmp_path.rglob("*")} - before if path.name == "report.html"]
    assert [path.parent.parent for path in made] == [again]
