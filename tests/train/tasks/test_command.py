"""`judger-train tasks` as a whole: the folder it leaves, twice the same; what is refused before anything is loaded."""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
import sys

import pytest
from datasets import load_from_disk

from policy.config import load_settings
from policy.rollouts import read_tasks
from policy.trajectory import read_records
from tests.policy.conftest import Loopback
from train.cli import main
from train.tasks.build import Plan, build
from train.tasks.templates import TemplateWriter

SMALL = {"entities": 16, "tasks": 6, "trajectories": 24, "texts": 12, "drills": 12, "worlds": 2}


def _plan(out, **changes):
    return Plan(out=out, seed=3, **{**SMALL, **changes})


async def test_the_folder_holds_everything_with_its_provenance(tmp_path, mini):
    funnels = await build(_plan(tmp_path), TemplateWriter(), mini)
    tasks = read_tasks(tmp_path / "tasks.jsonl")
    assert 1 <= len(tasks) <= 6
    records = list(read_records(tmp_path / "trajectories.jsonl"))
    sft = load_from_disk(str(tmp_path / "sft"))
    assert len(sft) == len(records) == funnels[1].kept
    assert set(sft["world_seed"]) == {3, 3001}
    stage1 = load_from_disk(str(tmp_path / "midtrain/stage1"))
    stage2 = load_from_disk(str(tmp_path / "midtrain/stage2"))
    assert len(stage1) == 12
    for rows in (sft, stage1, stage2):
        assert {"world_seed", "writer", "judge_id", "version", "source"} <= set(rows.column_names)
        assert set(rows["writer"]) == {"templates"}
    assert set(stage1.column_names) >= {"text", "kind"}
    assert set(stage2.column_names) >= {"messages", "tools", "kind"}
    counts = json.loads((tmp_path / "funnel.json").read_text())
    for funnel in funnels:
        row = counts[funnel.name]
        assert row["total"] - sum(row["dropped"].values()) == row["kept"] == funnel.kept
    assert counts["judge_id"] == sft[0]["judge_id"]
    settings = load_settings(tmp_path / "settings.toml")
    assert settings.search.index == (tmp_path / "world/index.sqlite").resolve()
    assert not list(tmp_path.rglob("work"))


async def test_a_seed_gives_the_same_files_wherever_they_are_written(tmp_path, mini):
    for name in ("a", "b"):
        await build(_plan(tmp_path / name, worlds=1), TemplateWriter(), mini)
    for path in ("tasks.jsonl", "funnel.json", "world/world.json"):
        assert _digest(tmp_path / "a" / path) == _digest(tmp_path / "b" / path), path
    for path in ("sft", "midtrain/stage1", "midtrain/stage2"):
        assert load_from_disk(str(tmp_path / "a" / path))[:] == load_from_disk(str(tmp_path / "b" / path))[:]


def _digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (["--tasks", "0"], "--tasks: must be at least 1"),
        (["--entities", "1"], "--entities: there can be from 2 to"),
        (["--entities", "100000"], "--entities: there can be from 2 to"),
        (["--trajectories", "1"], "--trajectories: must be at least"),
        (["--writer", "openai"], "--model: the chat model's name is missing"),
        (["--model", "m"], "--model, --base-url: only with --writer openai"),
        (["--addr", "nowhere"], "--addr: "),
        *(([flag, "f"], f"{flag}: how to reach") for flag in ("--token-file", "--ca", "--cert", "--key", "--judge-id")),
        (["--allow-insecure-token"], "--allow-insecure-token: how to reach"),
        (["--agreement", "2"], "--agreement: must lie in [0, 1]"),
        (["--patience", "-1"], "--patience: must be above 0"),
    ],
)
def test_wrong_usage_is_refused_with_a_line_before_anything_is_made(tmp_path, capsys, options, fault):
    out = tmp_path / "out"
    assert main(["tasks", "-o", str(out), *options]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert any(line.startswith(fault) for line in lines), lines
    assert len(lines) == 1
    assert not out.exists()


def test_each_fault_has_a_line_of_its_own(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["tasks", "-o", str(tmp_path / "file"), "--texts", "0", "--drills", "0"]) == 2
    assert [line.partition(":")[0] for line in capsys.readouterr().err.splitlines()] == ["--texts", "--drills", "--out"]


def test_a_judge_that_does_not_answer_is_waited_for_with_a_message_and_then_given_up(tmp_path, capsys):
    options = ["--addr", "127.0.0.1:9", "--patience", "0.3", "--entities", "4"]
    assert main(["tasks", "-o", str(tmp_path / "out"), *options]) == 3
    assert "127.0.0.1:9: no judge answered within 0.3 s" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


async def test_a_wrong_key_of_the_writer_ends_the_command_with_the_endpoints_words(tmp_path, scripted_server, capsys):
    endpoint = Loopback(
        lambda _: (401, {"content-type": "application/json"}, b'{"error": {"message": "who are you?"}}')
    )
    writer = ["--writer", "openai", "--model", "m", "--base-url", f"{endpoint.url}/v1"]
    options = ["--entities", "8", "--worlds", "1", "--size", "small", "--addr", scripted_server.address, *writer]
    assert await asyncio.to_thread(main, ["tasks", "-o", str(tmp_path / "out"), *options]) == 3
    endpoint.close()
    assert "the endpoint refuses the key: Error code: 401 - who are you?" in capsys.readouterr().err


def test_the_command_line_loads_nothing_heavy_before_it_knows_that_its_input_is_right():
    code = (
        "import sys; from train.cli import main; main(['tasks', '-o', 'x', '--tasks', '0']); "
        "print(sorted({'torch', 'datasets', 'transformers', 'openai'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
