"""What is refused before anything heavy is loaded: all faults at once, a line each."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from judger.engines.find import check_model
from judger.errors import InvalidRequest
from policy.errors import ConfigError
from train.templates import check_template, take_up

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

__all__ = ["Fault", "check_model_there", "check_out", "finished", "load_rows", "load_tokenizer", "write_settings"]


class Fault(ValueError):
    """The data, the model or the options cannot be used. One line a fault."""


def load_rows(folder: Path, *, columns: tuple[frozenset[str], ...]) -> Dataset:
    """The dataset in `folder`, as `datasets` saved it. It must hold all columns of one of the sets, and a row."""
    from datasets import Dataset, load_from_disk

    if not folder.is_dir():
        raise Fault(f"{folder}: no such folder")
    try:
        rows = load_from_disk(str(folder))
    except (FileNotFoundError, ValueError) as error:
        raise Fault(f"{folder}: not a dataset on disk: {error}") from error
    if not isinstance(rows, Dataset):
        raise Fault(f"{folder}: holds several splits ({', '.join(rows)}); name the folder of one")
    have = frozenset(rows.column_names)
    if not any(wanted <= have for wanted in columns):
        missing = " or ".join(", ".join(sorted(wanted - have)) for wanted in columns)
        raise Fault(f"{folder}: missing columns: {missing}")
    if not len(rows):
        raise Fault(f"{folder}: has no rows")
    return rows


def check_model_there(model: str) -> None:
    """A path must be a folder with a model in it; a name is left to the hub."""
    path = Path(model)
    looks_like_path = path.is_absolute() or model.startswith((".", "~")) or model.count("/") != 1 or path.exists()
    if looks_like_path and not (path / "config.json").is_file():
        raise Fault(f"{model}: no model there (config.json is missing)")
    try:
        check_model(model)
    except InvalidRequest as error:
        raise Fault(error.reason) from error


def load_tokenizer(
    model: str, *, markers: bool, chat_template: str | None = None, eos_token: str | None = None
) -> PreTrainedTokenizerBase:
    """The tokenizer of a model folder or hub name, with another template or end of a reply where one is given.

    With `markers`, the template must mark what the assistant writes, and bring calls and results through
    (`train.templates.check_template`).
    """
    from transformers import AutoTokenizer

    check_model_there(model)
    try:
        tokenizer = AutoTokenizer.from_pretrained(model)
    except (OSError, ValueError) as error:
        raise Fault(f"{model}: its tokenizer cannot be loaded: {error}") from error
    try:
        take_up(tokenizer, chat_template, eos_token)
        if tokenizer.eos_token_id is None:
            raise Fault(f"{model}: its tokenizer names no end token")
        if markers:
            check_template(tokenizer, model, for_rollouts=False)
    except ConfigError as error:
        raise Fault(str(error)) from error
    return tokenizer


def check_out(out: Path, settings: dict[str, object]) -> None:
    """A folder with a run of other settings is refused: going on from its checkpoint would mix two runs."""
    path = out / "settings.json"
    if not path.exists():
        return
    before = json.loads(path.read_text(encoding="utf-8"))
    changed = sorted(key for key in before.keys() | settings.keys() if before.get(key) != settings.get(key))
    if changed:
        raise Fault(f"{out}: holds a run with other settings ({', '.join(changed)}); choose another folder")


def finished(out: Path) -> dict[str, Any] | None:
    """The figures of a run that came to its end; they are what is written last."""
    path = out / "figures.json"
    figures: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return figures or None


def write_settings(out: Path, settings: dict[str, object]) -> None:
    """Beside the run, so that the same command goes on with it and another is refused."""
    out.mkdir(parents=True, exist_ok=True)
    part = out / f".settings.json.{os.getpid()}"  # each process of a run writes the same
    part.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    part.replace(out / "settings.json")
