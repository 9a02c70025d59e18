"""What ships in the package beside its code: prompts, styles and lists, and the demo's collection."""

from __future__ import annotations

from contextlib import AbstractContextManager
from importlib.resources import as_file, files
from pathlib import Path

__all__ = ["corpus", "prompt"]


def prompt(name: str) -> str:
    """The text of a file of `policy/prompts`."""
    return files("policy").joinpath("prompts", name).read_text(encoding="utf-8")


def corpus() -> AbstractContextManager[Path]:
    """A context manager that gives the folder of the bundled collection."""
    return as_file(files("policy").joinpath("corpus"))
