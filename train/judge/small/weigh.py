"""The last stage: how both readers and the trees are weighed, on held-out tasks; and the judge's files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from judger.engines.mini.judgeable import Judgeable
from judger.engines.mini.mix import Mix
from judger.engines.small import adapter
from judger.engines.small.base import base_id
from judger.engines.small.fitted import FORMAT
from judger.verdict import Calibration
from train.judge.calibrate import Held, fit_mix, fit_thresholds, with_margin
from train.judge.small.model import ALPHA, TrainedReader

Weighed = tuple[Mix, Calibration, Judgeable]


def weighed(held: Held, judgeable: Judgeable) -> Weighed:
    """The mix, the thresholds, and how much of what is hard (as mini's classifier has it) is left open."""
    mix = fit_mix(held)
    stated = held.stated
    calibration = fit_thresholds(stated, "held-out tasks of the rubrics, natural rates")
    return mix, calibration, with_margin(judgeable, held.mixed(mix, calibration), stated, calibration)


def save(folder: Path, reader: TrainedReader, base: Path, rank: int, fitted: Weighed, about: Mapping[str, Any]) -> None:
    """Writes the files that `judger.engines.small.fitted` reads, and the adapters cut down to `rank`.

    base: the folder of the model that they were trained on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mix, calibration, judgeable = fitted
    adapter.save(folder / "adapter.safetensors", adapters(reader, rank), reader.trained)
    save_file({"judgeable": torch.from_numpy(judgeable.weights).half()}, str(folder / "judgeable.safetensors"))
    (folder / "judgeable.safetensors").chmod(0o644)
    config = {
        "format": FORMAT,
        "base": base_id(base),
        "mix": asdict(mix),
        "judgeable": judgeable.config(),
        "calibration": asdict(calibration),
        **about,
    }
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")


def adapters(reader: TrainedReader, rank: int) -> dict[str, tuple[Tensor, Tensor]]:
    """By the base's weight: (rank, in) and (out, rank), whose product is what was learned, or the nearest to it."""
    mark = ".lora_A.default.weight"
    found = {}
    for name, down in reader.trained.items():
        if name.endswith(mark):
            up = reader.trained[name.replace(".lora_A.", ".lora_B.")]
            found[name.removesuffix(mark) + ".weight"] = narrowed(down.detach(), ALPHA * up.detach(), rank)
    return found


def narrowed(down: Tensor, up: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """(r, in) and (out, r) -> (rank, in) and (out, rank): the nearest product of that rank (Eckart and Young 1936).

    Each direction's size is shared evenly between the two, which leaves int8 the least to lose.
    """
    left, right = torch.linalg.qr(up), torch.linalg.qr(down.T)
    u, sizes, v = torch.linalg.svd(left.R @ right.R.T)
    root = sizes[:rank].sqrt()
    return root[:, None] * (v[:rank] @ right.Q.T), (left.Q @ u[:, :rank]) * root
