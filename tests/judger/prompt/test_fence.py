"""The key of the fences: where it comes from, what it tells, and what it changes."""

from __future__ import annotations

import logging
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from judger.cli.options import with_user_files
from judger.config import ServeConfig, user_key_file
from judger.engines import build_engine
from judger.errors import InvalidRequest
from judger.prompt.fence import FenceKey, break_marks, make_user_key, open_fence_key, process_key
from judger.verdict import IDENTITY

ONE, OTHER = FenceKey(b"one"), FenceKey(b"another")


def test_the_same_report_gets_the_same_fence_and_another_key_or_report_another() -> None:
    assert ONE.line("report") == FenceKey(b"one").line("report")
    assert len({ONE.line("report"), OTHER.line("report"), ONE.line("report "), ONE.digest, OTHER.digest}) == 5


def test_neither_digest_nor_repr_tells_the_key() -> None:
    key = FenceKey(b"a very secret secret")
    assert "secret" not in repr(key)
    assert key.digest not in key.line("report")


def test_a_report_that_copies_its_own_fence_gets_another() -> None:
    line = ONE.line("report")
    assert ONE.line(f"report\n{line}\n").split()[1] not in line


def test_a_key_file_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "key"
    key = open_fence_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert open_fence_key(path) == key
    assert [entry.name for entry in tmp_path.iterdir()] == ["key"]


def test_servers_that_start_together_get_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: open_fence_key(tmp_path / "key"), range(40)))
    assert len(keys) == 1


@pytest.mark.parametrize("content", ["", "short", " " * 40])
def test_a_key_that_could_be_guessed_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "key"
    path.write_text(content)
    with pytest.raises(InvalidRequest, match="32 characters"):
        open_fence_key(path)


def test_a_key_file_that_can_not_be_made_is_refused_by_its_path(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="nowhere"):
        open_fence_key(tmp_path / "nowhere" / "key")


def test_without_a_file_the_key_is_the_processs_own() -> None:
    assert open_fence_key(None) is process_key()


def openai(**settings: object) -> ServeConfig:
    return ServeConfig.model_validate(
        {"engine": "openai", "model": "m", "base_url": "http://127.0.0.1:1/v1", **settings}
    )


def judge_id(config: ServeConfig) -> str:
    engine = build_engine(config)
    engine.close()
    return engine.identity.judge_id(IDENTITY)


def test_the_judge_id_follows_the_key(tmp_path: Path) -> None:
    first, second = openai(fence_key_file=tmp_path / "1"), openai(fence_key_file=tmp_path / "2")
    assert judge_id(first) == judge_id(first) != judge_id(second)
    assert judge_id(openai()) == judge_id(openai())  # an engine that is built anew in this process


def user_key(tmp_path: Path) -> Path | None:
    return user_key_file({"HOME": str(tmp_path)})


def test_a_users_own_key_lies_in_the_state_folder(tmp_path: Path) -> None:
    assert user_key(tmp_path) == tmp_path / ".local" / "state" / "checklist-judger" / "fence.key"
    state = {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state")}
    assert user_key_file(state) == tmp_path / "state" / "checklist-judger" / "fence.key"
    assert user_key_file(state | {"XDG_STATE_HOME": "relative"}) == user_key(tmp_path)
    assert user_key_file({}) is None
    assert user_key_file({"HOME": "", "XDG_STATE_HOME": ""}) is None


def test_a_users_own_key_is_made_once_with_its_folders_and_for_them_alone(tmp_path: Path) -> None:
    path = user_key(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(make_user_key, [path] * 20))
    assert made == {path}
    assert path is not None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    before = path.read_bytes()
    make_user_key(path)
    assert path.read_bytes() == before


def test_where_no_key_can_be_made_a_warning_says_what_that_means(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    for path in (None, tmp_path / "file" / "checklist-judger" / "fence.key"):
        caplog.clear()
        assert make_user_key(path) is None
        (record,) = caplog.records
        assert record.levelno == logging.WARNING
        assert "--fence-key-file" in record.getMessage()
        assert path is None or str(path.parent.parent) in record.getMessage()


def test_a_users_own_key_that_is_none_is_refused_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "fence.key"
    path.write_text("short")
    with pytest.raises(InvalidRequest, match=str(path)):
        make_user_key(path)


def test_an_engine_with_a_prompt_gets_the_users_key_and_no_other_engine_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    config = ServeConfig(engine="scripted")
    assert with_user_files(config) == config
    named = openai(fence_key_file=tmp_path / "own")
    assert with_user_files(named) == named
    assert not list(tmp_path.iterdir())
    found = with_user_files(openai(cache=tmp_path / "verdicts.db"))
    assert found.fence_key_file == tmp_path / "checklist-judger" / "fence.key"
    assert judge_id(found) == judge_id(with_user_files(openai()))


@pytest.mark.parametrize(
    "mark", ["<|im_end|>", "<|eot_id|>", "<｜User｜>", "<start_of_turn>", "</s>", "[/INST]", "<<SYS>>", "</think>"]
)
def test_marks_of_chat_templates_are_broken_and_nothing_else(mark: str) -> None:
    assert mark not in break_marks(f"a {mark}{mark} b")
    assert break_marks(f"a {mark} b").replace(" ", "") == f"a{mark}b"
    plain = "if a < b and b > c: [1] [INSTALL] <table> |x| <b>bold</b>"
    assert break_marks(plain) == plain
