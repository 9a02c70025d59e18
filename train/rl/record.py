"""The account of a run: a line a step in metrics.jsonl, the same in TensorBoard, and a line on the terminal."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["Recorder", "read_metrics"]

_SHOWN = ("reward", "kl", "entropy", "value_loss", "explained_variance", "sampled_tokens", "unscored_share")


class Recorder:
    """Writes steps. What an interrupted run wrote after `step`, its last checkpoint, is taken back first."""

    def __init__(self, folder: Path, *, step: int, steps: int, say: Callable[[str], None] | None = None) -> None:
        from torch.utils.tensorboard import SummaryWriter
        from tqdm import tqdm

        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "metrics.jsonl"
        kept = [line for line in read_metrics(self._path) if line["step"] <= step]
        part = self._path.with_name(".metrics.jsonl.part")
        part.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
        os.replace(part, self._path)
        self._file = self._path.open("a", encoding="utf-8")
        self._board = SummaryWriter(str(folder / "runs"), purge_step=step + 1)
        self._bar = tqdm(total=steps, initial=step, unit="step", disable=say is not None, dynamic_ncols=True)
        self._say = say

    def say(self, text: str) -> None:
        """A message that leaves the progress line whole."""
        if self._say is not None:
            self._say(text)
        else:
            self._bar.write(text, file=sys.stderr)

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """The figures of a step, counted from 1. Raises ValueError where one is not finite."""
        bad = [name for name, value in figures.items() if not math.isfinite(value)]
        if bad:
            raise ValueError(f"step {step}: not a finite number: {', '.join(bad)}")
        self._file.write(json.dumps({"step": step, **figures}) + "\n")
        self._file.flush()
        for name, value in figures.items():
            self._board.add_scalar(name, value, step)
        shown = {name: f"{figures[name]:.3g}" for name in _SHOWN if name in figures}
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()
        self._board.close()
        self._bar.close()


def read_metrics(path: Path) -> list[dict[str, float]]:
    """The steps in a file; a last line that a crash cut is left out."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines[:-1] if line.strip()]
