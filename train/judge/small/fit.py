"""Trains the reader on packed rows, and reads rows with it. Resumable; one seed.

Deviations from the textbook: a step is one or two rows, some 17 criteria each, which share their prefix's gradient;
classes are balanced within a kind by weight, not by drawing.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from train.judge.packed import Lesson
from train.judge.small.model import TrainedReader, label_loss
from train.judge.small.settings import Settings

logger = logging.getLogger(__name__)


class States:
    """The frozen layers' states of every row, computed when they are first asked for and kept as files."""

    def __init__(self, reader: TrainedReader, rows: Sequence[Lesson], folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.reader, self.rows, self.folder = reader, rows, folder

    def __getitem__(self, number: int) -> Tensor:
        file = self.folder / f"{number}.safetensors"
        if not file.exists():
            draft = file.with_suffix(".part")
            save_file({"states": self.reader.lower(self.rows[number])}, str(draft))
            draft.replace(file)
        return load_file(str(file), device=str(self.reader.head.weight.device))["states"]


def fit(
    reader: TrainedReader,
    states: States,
    settings: Settings,
    folder: Path,
    watch: Callable[[int], object] = lambda step: None,
) -> None:
    """Trains in place, or goes on where an interrupted run was.

    watch: told the step after every `measure_every`, and at the end.
    """
    folder.mkdir(parents=True, exist_ok=True)
    trained = reader.trained
    head = [p for name, p in trained.items() if name.startswith("head")]
    rest = [p for name, p in trained.items() if not name.startswith("head")]
    optimizer = torch.optim.AdamW([{"params": rest}, {"params": head}], weight_decay=settings.weight_decay)
    file, step = folder / "state.pt", 0
    if file.exists():
        state: dict[str, Any] = torch.load(file, weights_only=True)
        with torch.no_grad():
            for name, value in state["trained"].items():
                trained[name].copy_(value)
        optimizer.load_state_dict(state["optimizer"])
        step = int(state["step"])
    per_epoch = -(-len(states.rows) // settings.rows_per_step)
    steps = max(1, round(settings.epochs * per_epoch))
    began, losses = time.monotonic(), []
    while step < steps:
        epoch, place = divmod(step, per_epoch)
        order = list(range(len(states.rows)))
        random.Random(f"{settings.seed}/{epoch}").shuffle(order)
        torch.manual_seed(settings.seed * 100_003 + step)
        batch = order[place * settings.rows_per_step : (place + 1) * settings.rows_per_step]
        losses.append(_step(reader, states, batch, optimizer, settings, step, steps))
        step += 1
        if step % settings.log_every == 0:
            recent, seconds = losses[-settings.log_every :], time.monotonic() - began
            logger.info("step %d/%d loss %.3f, %.0f s", step, steps, sum(recent) / len(recent), seconds)
        if step % settings.save_every == 0 or step == steps:
            state = {"trained": trained, "optimizer": optimizer.state_dict(), "step": step}
            torch.save(state, file.with_suffix(".part"))
            file.with_suffix(".part").replace(file)
        if step % settings.measure_every == 0 and step < steps:
            watch(step)
    watch(step)
    reader.eval()


def _step(
    reader: TrainedReader,
    states: States,
    batch: Sequence[int],
    optimizer: torch.optim.Optimizer,
    settings: Settings,
    step: int,
    steps: int,
) -> float:
    reader.train()
    share = min(1.0, (step + 1) / settings.warmup) * max(0.02, 1 - step / steps)
    for group, times in zip(optimizer.param_groups, (1.0, settings.head_rate), strict=True):
        group["lr"] = settings.learning_rate * share * times
    optimizer.zero_grad()
    total = 0.0
    for number in batch:
        row = states.rows[number]
        loss = label_loss(reader.upper(states[number], row), [row])
        (loss / len(batch)).backward()
        total += loss.item() / len(batch)
    torch.nn.utils.clip_grad_norm_(reader.trained.values(), 1.0)
    optimizer.step()
    return total


@torch.inference_mode()
def read(reader: TrainedReader, states: States, count: int) -> np.ndarray:
    """Log-probabilities (count, 3) of the criteria in all rows, by the criteria's own numbers; NaN where none is."""
    reader.eval()
    out = np.full((count, 3), np.nan, np.float32)
    for number, row in enumerate(states.rows):
        out[row.which] = reader.upper(states[number], row).log_softmax(-1).float().cpu().numpy()
    return out
