"""What --model names is looked at before any library asks the hub for it."""

from __future__ import annotations

import io
import socket
import sys
from pathlib import Path

import huggingface_hub
import pytest

from judger.engines.find import check_model, show_bars
from judger.engines.torch import TorchEngine
from judger.errors import InvalidRequest
from tests.judger.engines.generative import tiny


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here goes out: whoever tries fails the test."""

    def refused(*args: object, **settings: object) -> None:
        raise AssertionError("the hub was asked")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", refused)


@pytest.mark.parametrize(
    "name", ["./model", "/nowhere/model", "~/model", "../m", "a/b/c", "a\\b", "C:\\models\\m", "m/"]
)
def test_a_mistyped_folder_is_refused_without_asking_the_hub(name: str) -> None:
    with pytest.raises(InvalidRequest, match="there is no such folder") as raised:
        check_model(name)
    assert name in str(raised.value)


def test_a_name_below_a_folder_that_is_there_is_a_mistyped_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    with pytest.raises(InvalidRequest, match="there is no such folder"):
        check_model("models/qwen")


def test_a_folder_without_a_model_and_a_file_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"config\.json"):
        check_model(str(tmp_path))
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidRequest, match="is a file"):
        check_model(str(tmp_path / "file"))
    check_model(tiny.save(tmp_path / "model"))


def test_gguf_files_are_named_with_the_command_that_converts_them(tmp_path: Path) -> None:
    for name in ("b.Q4_1.gguf", "a.gguf"):
        (tmp_path / name).write_bytes(b"GGUF")
    for named in (tmp_path, tmp_path / "a.gguf"):
        with pytest.raises(InvalidRequest, match="judger convert") as raised:
            check_model(str(named))
        assert "a.gguf" in str(raised.value)
    with pytest.raises(InvalidRequest, match=r"a\.gguf, b\.Q4_1\.gguf"):
        check_model(str(tmp_path))


def test_a_hub_that_is_away_is_asked_once_and_said_to_be(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.undo()
    with socket.socket() as taken:  # bound and not listening: who connects is refused at once
        taken.bind(("127.0.0.1", 0))
        api = huggingface_hub.HfApi(endpoint=f"http://127.0.0.1:{taken.getsockname()[1]}")
        monkeypatch.setattr(huggingface_hub, "HfApi", lambda: api)
        monkeypatch.chdir(tmp_path)
        with pytest.raises(InvalidRequest, match="no such folder, and the hub can't be reached"):
            check_model("somebody/no-such-model-of-anybody")


def test_nothing_draws_bars_into_a_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tiny.save(tmp_path)
    drawn = io.StringIO()
    monkeypatch.setattr(sys, "stderr", drawn)
    TorchEngine.load(folder, device="cpu")
    assert drawn.getvalue() == ""
    try:
        TorchEngine.load(folder, device="cpu", bars=True)
        assert "Loading" in drawn.getvalue()
    finally:
        show_bars(True)  # as it was
