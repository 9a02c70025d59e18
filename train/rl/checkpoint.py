"""Checkpoints that are there whole or not at all, and hold everything a run needs to go on along the same curve.

    OUT/settings.json            what the run was started with
    OUT/reference/               the model that the run began with
    OUT/checkpoints/step-000010/ policy/ (model and tokenizer), critic, its average, both optimizers, state.json
    OUT/metrics.jsonl            one step a line
    OUT/model/                   the policy at the end

A checkpoint is written beside its place and moved there in one step, so a kill at any moment leaves the one before.
Tensors are in safetensors; nothing is pickled.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor

__all__ = ["Checkpoints", "load_optimizer", "optimizer_state", "random_state", "restore_random_state", "write_folder"]

_STATE = "state.json"


class Checkpoints:
    """The checkpoints of a run, the latest `keep` of them."""

    def __init__(self, folder: Path, keep: int = 2) -> None:
        self._folder, self._keep = folder, keep

    def latest(self) -> Path | None:
        """The newest whole checkpoint."""
        found = self._all()
        return found[-1] if found else None

    def save(self, step: int, write: Callable[[Path], None], state: Mapping[str, Any]) -> Path:
        """Let `write` fill a folder; it becomes the checkpoint of `step` at once, with `state` in it."""

        def fill(folder: Path) -> None:
            write(folder)
            (folder / _STATE).write_text(json.dumps({"step": step, **state}, indent=1) + "\n", encoding="utf-8")

        path = write_folder(self._folder / f"step-{step:06d}", fill)
        for old in self._all()[: -self._keep]:
            shutil.rmtree(old)
        return path

    @staticmethod
    def state(path: Path) -> dict[str, Any]:
        """What `save` was given as `state`, and the step."""
        state: dict[str, Any] = json.loads((path / _STATE).read_text(encoding="utf-8"))
        return state

    def _all(self) -> list[Path]:
        return sorted(self._folder.glob("step-*")) if self._folder.is_dir() else []


def write_folder(path: Path, fill: Callable[[Path], None]) -> Path:
    """The folder `path`, filled by `fill`: on the disk and whole before it gets its name. Replaces an older one."""
    part = path.with_name(f".{path.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    fill(part)
    for file in part.rglob("*"):
        if file.is_file():
            with file.open("rb") as handle:
                os.fsync(handle.fileno())
    if path.exists():
        shutil.rmtree(path)
    part.rename(path)
    return path


def optimizer_state(optimizer: Any, *, keep: bool = True) -> dict[str, Tensor]:
    """The state of an optimizer whose state is tensors, such as AdamW's, whole out of its shards.

    All processes have to ask for it; one that does not `keep` it gets nothing.
    """
    found: dict[str, Tensor] = {}
    for number, weight in enumerate(_weights(optimizer)):
        for name, value in optimizer.state.get(weight, {}).items():
            whole = torch.as_tensor(value.full_tensor() if hasattr(value, "full_tensor") else value)
            if keep:
                found[f"{number}.{name}"] = whole.detach().cpu().contiguous()
    return found


def load_optimizer(optimizer: Any, path: Path) -> None:
    """Bring a fresh optimizer of the same parameters to the state in a file, each process to its shard."""
    weights = _weights(optimizer)
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in load_file(path).items():
        number, _, name = key.partition(".")
        like = weights[int(number)]
        if isinstance(like, DTensor) and value.shape == like.shape:
            value = distribute_tensor(value.to(like.device), like.device_mesh, like.placements)
        state.setdefault(int(number), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _weights(optimizer: Any) -> list[Tensor]:
    return [weight for group in optimizer.param_groups for weight in group["params"]]


def random_state() -> dict[str, Tensor]:
    """Torch's random states. Everything else that is drawn follows from the seed, the step and the episode."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states |= {f"cuda{i}": state for i, state in enumerate(torch.cuda.get_rng_state_all())}
    return states


def restore_random_state(states: Mapping[str, Tensor]) -> None:
    """Put back what `random_state` gave."""
    torch.set_rng_state(states["cpu"])
    cuda = [state for name, state in sorted(states.items()) if name.startswith("cuda")]
    if cuda and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(cuda)
