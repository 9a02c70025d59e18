"""A GGUF file as a folder that every engine loads: weights dequantised to safetensors, end and pad tokens set right.

The tensors become what the file's own numbers mean: in float32 nothing is lost beyond the quantisation itself. The
tokenizer that comes out of a GGUF names at times another end of text than its chat template: the template is right.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
from contextlib import nullcontext, redirect_stderr
from pathlib import Path
from typing import Any

from judger.engines.find import show_bars
from judger.engines.tokens import end_of_turn
from judger.errors import EngineError, InvalidRequest, Unsupported

__all__ = ["check_package", "check_place", "convert"]


def convert(source: Path, out: Path, *, dtype: str = "float32", bars: bool = False) -> None:
    """Writes the model of the file `source` as the folder `out`, whole or not at all.

    Raises InvalidRequest for a file that is no GGUF or a folder that is taken, Unsupported without the `gguf` package,
    and EngineError for a model that transformers can't read out of it.
    """
    check_package()
    check_source(source)
    check_place(out, "OUT")
    out.parent.mkdir(parents=True, exist_ok=True)
    show_bars(bars)
    draft = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
    try:
        _convert(source, draft, dtype, bars)
        draft.chmod(0o755)  # mkdtemp's is closed to everybody else, and so are the files of weights
        for file in draft.iterdir():
            file.chmod(0o644)
        if out.is_dir():
            out.rmdir()
        draft.rename(out)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def check_package() -> None:
    """Raises Unsupported without the package that reads GGUF."""
    if importlib.util.find_spec("gguf") is None:
        raise Unsupported("reading GGUF needs the gguf package: pip install 'checklist-judger[gguf]'")


def check_place(out: Path, flag: str) -> None:
    """Raises InvalidRequest where something is already."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        why = f"{out} is there already, and is not an empty folder: remove it, or name another place"
        raise InvalidRequest(flag, why)


def check_source(source: Path) -> None:
    """Raises InvalidRequest for what is no GGUF file, by its first bytes."""
    try:
        with source.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise InvalidRequest("FILE", f"{source}: {error.strerror}") from error
    if magic != b"GGUF":
        raise InvalidRequest("FILE", f"{source} is no GGUF file")


def _convert(source: Path, folder: Path, dtype: str, bars: bool) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    named: dict[str, Any] = {"gguf_file": source.name, "trust_remote_code": False}
    # The dequantising draws a bar of its own, which no switch of the library's turns off.
    with open(os.devnull, "w") as nowhere, nullcontext() if bars else redirect_stderr(nowhere):
        try:
            tokenizer = AutoTokenizer.from_pretrained(source.parent, **named)
            model = AutoModelForCausalLM.from_pretrained(
                source.parent,
                # Without it the model stays a quantised one by name, which can't be saved.
                quantization_config=GgufConfig(dequantize=True),
                dtype=getattr(torch, dtype),
                **named,
            )
        except (OSError, ValueError, KeyError, IndexError, NotImplementedError, ImportError) as error:
            raise EngineError(f"{source}: can't be converted: {error}") from error
    settle_ends(model, tokenizer)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def settle_ends(model: Any, tokenizer: Any) -> None:
    """The end token that the chat template writes is the tokenizer's and the model's; padding is one that is not it.

    Where there is no other token to pad with, it is the end token, as is usual.
    """
    end = end_of_turn(tokenizer)
    named = model.config.get_text_config().eos_token_id
    if not getattr(tokenizer, "chat_template", None) and isinstance(named, int):
        end = named
    if end is None:
        raise EngineError("neither the chat template nor the model says how a text ends")
    tokenizer.eos_token = tokenizer.convert_ids_to_tokens(end)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.clean_up_tokenization_spaces = False  # it would take spaces out of what a model writes
    known = [named] if isinstance(named, int) else list(named or ())
    for config in (model.config.get_text_config(), model.generation_config):
        config.eos_token_id = end if set(known) <= {end} else [end, *(token for token in known if token != end)]
        config.pad_token_id = tokenizer.pad_token_id
