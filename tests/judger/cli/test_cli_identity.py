"""Two runs of a command are one judge: the same judge_id and the same bits, and nothing has to be said for it."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from judger.prompt.fence import process_key
from tests.judger.cli.conftest import JUDGER, Run, case, write
from tests.judger.engines.generative import tiny
from tests.judger.engines.generative.endpoint import Endpoint, completion, serving


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny.save(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """A model whose verdict hangs on every character of its prompt, and so on the fence."""
    with serving() as made:

        def answer(request: dict[str, Any]) -> Any:
            digest = hashlib.sha256(request["messages"][1]["content"].encode()).digest()
            share = (1 + digest[0]) / 300
            return completion("fully", [("fully", {"fully": share, "not": 1 - share})])

        made.answer = answer
        yield made


def answers_in(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What `--json` prints, without the seconds that it took."""
    return [{key: value for key, value in line.items() if key != "usage"} for line in lines]


def score_apart(path: Path, state: Path, *flags: str) -> list[dict[str, Any]]:
    """What `judger score --json` prints in a process of its own, whose state folder that is."""
    ran = subprocess.run(
        [*JUDGER, "score", str(path), "--json", *flags],
        capture_output=True,
        text=True,
        env={**os.environ, "XDG_STATE_HOME": str(state)},
    )
    assert ran.returncode == 0, ran.stderr
    return answers_in([json.loads(line) for line in ran.stdout.splitlines()])


def test_two_processes_are_one_judge_and_give_the_same_bits(tmp_path: Path, endpoint: Endpoint) -> None:
    rows = case("1", "It names a colour.", "It lies."), case("2", "It is short.")
    path, state = write(tmp_path / "cases.jsonl", *rows), tmp_path / "state"
    flags = ("--engine", "openai", "--model", "m", "--base-url", endpoint.url)
    assert score_apart(path, state, *flags) == score_apart(path, state, *flags)
    key = state / "checklist-judger" / "fence.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_two_runs_of_the_torch_engine_are_one_judge_and_give_the_same_bits(
    tmp_path: Path, checkpoint: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = write(tmp_path / "one.jsonl", case("1", "It names a colour.", "It lies."))
    two = write(tmp_path / "two.jsonl", case("1", "It names a colour."), case("2", "It is short."))
    threads = torch.get_num_threads()

    def score(path: Path, *flags: str) -> list[dict[str, Any]]:
        process_key.cache_clear()  # as in a process that has just begun
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / state))
        model = ("--engine", "torch", "--model", checkpoint, "--threads", "1", "--min-label-mass", "0")
        ran = run("score", path, "--json", *model, *flags)
        assert ran.code == 0, ran.err
        return answers_in(ran.lines)

    state = "state"
    try:
        first = score(one)
        assert first == score(one)
        # Cases that are judged at a time round together, whichever these are, unless that is asked to be kept apart.
        assert score(two, "--deterministic") == score(two, "--deterministic")
        state = "another"
        other = score(one)
        assert first[0]["judge_id"] != other[0]["judge_id"]
        assert first[0]["verdicts"] != other[0]["verdicts"]
        assert first == score(one, "--fence-key-file", str(tmp_path / "state" / "checklist-judger" / "fence.key"))
    finally:
        torch.set_num_threads(threads)
