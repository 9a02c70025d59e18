"""What `judger convert` refuses and sets right. The conversion itself is tested on a real file: make test-llm."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from judger.cli import main
from judger.engines.gguf import convert, settle_ends
from judger.errors import InvalidRequest, Unsupported
from tests.judger.engines.generative import tiny


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the package were there: nothing here comes as far as to need it."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("content", [b"", b"GG", b"PK\x03\x04", b"\0" * 100])
def test_a_file_that_is_no_gguf_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    with pytest.raises(InvalidRequest, match="no GGUF file"):
        convert(path, tmp_path / "out")
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.gguf"]


@pytest.mark.usefixtures("installed")
def test_a_file_that_is_not_there_and_a_folder_that_is_taken_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="No such file"):
        convert(tmp_path / "nowhere.gguf", tmp_path / "out")
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("kept")
    for out in (tmp_path / "out", path):
        with pytest.raises(InvalidRequest, match="is there already"):
            convert(path, out)
    assert (tmp_path / "out" / "mine").read_text() == "kept"


def test_without_the_package_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Unsupported, match=r"checklist-judger\[gguf\]"):
        convert(tmp_path / "a", tmp_path / "b")
    assert main(["convert", str(tmp_path / "a"), str(tmp_path / "b")]) == 2
    assert "checklist-judger[gguf]" in capsys.readouterr().err


@pytest.mark.parametrize("template", [tiny.CHAT, None])
def test_the_end_token_is_the_templates_else_the_models_and_padding_is_set(template: str | None) -> None:
    model, tokenizer = tiny.model("llama"), tiny.tokenizer(chat_template=template)
    tokenizer.eos_token, tokenizer.pad_token = "<|im_start|>", None  # as they come out of a GGUF
    settle_ends(model, tokenizer)
    assert tokenizer.eos_token == tokenizer.pad_token == "<|im_end|>"
    for config in (model.config, model.generation_config):
        assert config.eos_token_id == config.pad_token_id == tokenizer.eos_token_id


def test_other_end_tokens_of_the_model_stay_behind_the_templates_own() -> None:
    model, tokenizer = tiny.model("llama", eos_token_id=[7, 1]), tiny.tokenizer()
    settle_ends(model, tokenizer)
    assert model.config.eos_token_id == model.generation_config.eos_token_id == [1, 7]
