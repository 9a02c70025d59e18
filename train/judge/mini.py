"""`judger-train judge --engine mini`: from labelled cases and the base encoder to the built-in judge's files.

    1 evidence    the frozen encoder reads every report once            OUT/evidence/*
    2 fit         the reader learns from it                             OUT/runs/*
    3 calibrate   temperature, bias, thresholds on held-out reports     in config.json
    4 measure     agreement on eval/, if there is one                   OUT/figures.json
    5 files       model.safetensors, config.json, tokenizer.json        OUT/weights

Interrupted, it goes on where it was: give the same command. One seed; the data's digests are in config.json.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import log_softmax

from judger.engines.mini.checkpoint import save
from judger.engines.mini.compute import blend
from judger.engines.mini.forest import Forest
from judger.engines.mini.model import Reader, ReaderShape
from judger.verdict import Calibration
from train.judge.calibrate import fit_calibration, gather
from train.judge.evidence import Limits
from train.judge.fit import Recipe, Source, fit, predict, sources
from train.judge.forest import Growth, grow
from train.judge.measure import NOISE, by_kind, measure
from train.judge.prepare import data_digests, eval_sources, make_evidence

READERS = 3
"""Readers of different seeds whose answers are averaged."""


@dataclass(slots=True)
class Trained:
    """Readers with their calibration, and the data they came from."""

    readers: list[Reader]
    forest: Forest
    calibration: Calibration


def ensemble(readers: Sequence[Reader], forest: Forest, source: Source, where: np.ndarray, device: str) -> np.ndarray:
    """Log-probabilities (n, 3) as `judger.engines.mini.compute.read` has them."""
    mean = np.mean([predict(reader, source, where, device) for reader in readers], axis=0)
    p = blend(log_softmax(mean, axis=1), source.shard.figures[where], forest)
    return np.asarray(np.log(np.maximum(p, 1e-12)))


def train(
    found: Sequence[Source],
    recipe: Recipe,
    shape: ReaderShape,
    out: Path,
    name: str,
    readers: int,
    device: str,
    fitted_on: str,
) -> Trained:
    """Fits readers of several seeds and calibrates them together on the held-out reports."""
    counts = json.loads((out / "counts.json").read_text(encoding="utf-8"))
    made = [
        fit(found, replace(recipe, seed=recipe.seed + i), shape, out / "runs" / f"{name}-{recipe.seed + i}", device)
        for i in range(readers)
    ]
    forest = grow(found, Growth(), recipe.seed)
    where = {s.name: np.flatnonzero(s.split != "train") for s in found}
    logs = {s.name: ensemble(made, forest, s, where[s.name], device) for s in found}
    return Trained(made, forest, fit_calibration(gather(found, logs, where, counts), fitted_on))


def leave_one_out(
    found: Sequence[Source], tested: Sequence[Source], recipe: Recipe, shape: ReaderShape, out: Path, device: str
) -> dict[str, Any]:
    """The same recipe, but one reader, without a source (and what was made of it), measured on its eval split."""
    figures: dict[str, Any] = {}
    for left in tested:
        kept = [s for s in found if s.name.split("+")[0] != left.name]
        if len(kept) == len(found) or left.name == NOISE:
            continue
        trained = train(kept, recipe, shape, out, f"without-{left.name}", 1, device, f"all but {left.name}")
        logs = {left.name: ensemble(trained.readers, trained.forest, left, np.arange(len(left.shard)), device)}
        figures[left.name] = measure([left], logs, trained.calibration)["sources"][left.name]
        (out / "leave_one_out.json").write_text(json.dumps(figures, indent=1), encoding="utf-8")
    return figures


def run(
    data: Path,
    out: Path,
    *,
    recipe: Recipe,
    shape: ReaderShape | None = None,
    limits: Limits | None = None,
    readers: int = 1,
    device: str = "cpu",
    workers: int = 2,
    leave_out: bool = False,
) -> dict[str, Any]:
    """The whole recipe; the figures that also go into config.json. Raises DataError for a file that is no case file."""
    out.mkdir(parents=True, exist_ok=True)
    shape, limits = shape or ReaderShape(), limits or Limits()
    tools, shards = make_evidence(data, out, 0, device, limits, workers if device == "cpu" else 1)
    found = sources(shards, seed=0)
    fitted_on = "a part of train/ by report, natural base rates, sources alike"
    trained = train(found, recipe, shape, out, "all", readers, device, fitted_on)
    figures: dict[str, Any] = {}
    if (data / "eval").is_dir():
        tested = eval_sources(data, out, tools, workers if device == "cpu" else 1)
        logs = {s.name: ensemble(trained.readers, trained.forest, s, np.arange(len(s.shard)), device) for s in tested}
        figures["eval"] = measure(tested, logs, trained.calibration)
        if leave_out:
            figures["leave_one_out"] = leave_one_out(found, tested, recipe, shape, out, device)
    held = [s for s in found if s.synthetic]
    where = {s.name: np.flatnonzero(s.split != "train") for s in held}
    figures["synthetic"] = by_kind(
        held,
        where,
        {s.name: ensemble(trained.readers, trained.forest, s, where[s.name], device) for s in held},
        trained.calibration,
    )
    about = {"name": "mini", "seed": recipe.seed, "recipe": asdict(recipe), "limits": asdict(limits)}
    about |= {"data": data_digests(data), "figures_measured": figures}
    save(
        out / "weights",
        tools.encoder,
        trained.readers,
        trained.forest,
        tools.tokenizer,
        tools.idf,
        tools.mean,
        trained.calibration,
        about,
    )
    (out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return figures
