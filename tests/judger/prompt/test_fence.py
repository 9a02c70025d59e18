"""The key of the fences: where it comes from, what it tells, and what it changes."""

from __future__ import annotations

import logging
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from judger.config import ServeConfig
from judger.engines import build_engine
from judger.errors import InvalidRequest
from judger.prompt.fence import FenceKey, break_marks, open_fence_key, process_key
from judger.server.process import with_fence_key
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


def test_the_key_lies_beside_the_verdicts_that_were_judged_with_it(tmp_path: Path) -> None:
    config = with_fence_key(openai(cache=tmp_path / "verdicts.db"))
    assert config.fence_key_file == tmp_path / "verdicts.db.fence-key"
    assert judge_id(config) == judge_id(config)


def test_a_key_that_ends_with_the_process_is_said_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert with_fence_key(openai()) == openai()
    assert "fence_key_file" in caplog.text


def test_an_engine_without_prompts_has_no_key(tmp_path: Path) -> None:
    config = ServeConfig(engine="scripted", cache=tmp_path / "verdicts.db")
    assert with_fence_key(config) == config


@pytest.mark.parametrize(
    "mark", ["<|im_end|>", "<|eot_id|>", "<｜User｜>", "<start_of_turn>", "</s>", "[/INST]", "<<SYS>>", "</think>"]
)
def test_marks_of_chat_templates_are_broken_and_nothing_else(mark: str) -> None:
    assert mark not in break_marks(f"a {mark}{mark} b")
    assert break_marks(f"a {mark} b").replace(" ", "") == f"a{mark}b"
    plain = "if a < b and b > c: [1] [INSTALL] <table> |x| <b>bold</b>"
    assert break_marks(plain) == plain
