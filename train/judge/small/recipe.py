"""`judger-train judge --engine small`: a small causal model, tuned to read what mini's rule chooses.

    1 evidence   mini's frozen encoder reads every report once            OUT/evidence/*
    2 rows       a report's criteria on one shared prefix
    3 fit        adapters on the upper layers                             OUT/runs/small
    4 measure    held-out tasks and eval/, beside mini's own reader       OUT/figures.json
    5 weigh      both readers and the trees, thresholds, what stays open: on the held-out tasks
    6 files      adapters, head and these                                 OUT/weights/*

Interrupted, it goes on where it was: give the same command. What it has learnt is measured at every checkpoint, too.
"""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from judger.engines.mini.checkpoint import WEIGHTS, Model
from judger.engines.mini.checkpoint import load as load_mini
from judger.engines.mini.compute import read as read_mini
from judger.engines.mini.passage import reading
from judger.engines.small.rows import PREFIX_TOKENS
from train.judge.data import DataError, LabelledCase
from train.judge.draw import rows as labelled_rows
from train.judge.evidence import Shard, Tools, pages_of
from train.judge.mini import asked, joined
from train.judge.packed import Lesson
from train.judge.prepare import data_digests, is_rubric, make_shards, read_sources, without_leaks
from train.judge.small.fit import States, fit, read
from train.judge.small.measure import measured
from train.judge.small.model import TrainedReader
from train.judge.small.rows import lessons
from train.judge.small.settings import Settings
from train.judge.small.weigh import save, weighed
from train.judge.split import check_split, is_held

logger = logging.getLogger(__name__)


def run(data: Path, out: Path, *, model: str | Path, settings: Settings, device: str = "cpu", workers: int = 1) -> Any:
    """The whole recipe; its figures. Raises DataError for a file that is no case file or holds no rubric."""
    out.mkdir(parents=True, exist_ok=True)
    mini = load_mini(WEIGHTS, device)
    tools = Tools(mini.encoder, mini.tokenizer, mini.idf, mini.mean, device)
    tested = read_sources(data / "eval") if (data / "eval").is_dir() else {}
    train = without_leaks(read_sources(data / "train"), tested)
    train = {name: cases for name, cases in train.items() if is_rubric(cases)}
    if not train:
        raise DataError(f"{data / 'train'}: no criterion says its kind (meta.kind): these are no rubrics")
    reader = TrainedReader(model, frozen=settings.frozen, rank=settings.rank).to(device)
    torch.manual_seed(settings.seed)

    parts: dict[str, tuple[Shard, list[int], list[Lesson]]] = {}
    shards = make_shards(train, out / "evidence", tools, workers)
    check_split(item for shard in shards.values() for item in shard.items)
    for name, shard in shards.items():
        held = [i for i, item in enumerate(shard.items) if is_held(item)]
        rest = [i for i, item in enumerate(shard.items) if not is_held(item)]
        rows = packed(shard, rest, train[name], mini, reader, settings.prefix_tokens)
        parts[f"train/{name}"] = shard, rest, rows
        parts[f"held/{name}"] = shard, held, packed(shard, held, train[name], mini, reader)
    for name, shard in make_shards(tested, out / "eval", tools, workers).items():
        where = list(range(len(shard)))
        parts[f"eval/{name}"] = shard, where, packed(shard, where, tested[name], mini, reader)

    taught = [row for name, (_, _, rows) in parts.items() if name.startswith("train/") for row in rows]
    states = States(reader, taught, out / "states" / "train")
    beside: dict[str, np.ndarray] = {}
    figures: dict[str, Any] = {}

    def watch(step: int) -> None:
        for name, (shard, where, rows) in _asked(parts):
            kept = States(reader, rows, out / "states" / name.replace("/", "-"))
            logs = read(reader, kept, len(shard))[where]
            np.save(out / "runs" / f"{name.replace('/', '-')}-{step}.npy", logs)
            if name not in beside:
                beside[name] = mini_says(shard, where, mini, device)
            figures[name] = measured(shard, where, logs, beside[name])
            logger.info("step %d %s: %s", step, name, json.dumps(figures[name]["all"]))
        (out / "figures.json").write_text(json.dumps({"step": step, **figures}, indent=1) + "\n", encoding="utf-8")

    fit(reader, states, settings, out / "runs" / "small", watch)
    held = joined(
        replace(asked(shard, np.array(where), mini.reader, mini.forest, mini.linear, mini.tokenizer, device), deep=says)
        for name, (shard, where, rows) in parts.items()
        if name.startswith("held/") and where
        for kept in [States(reader, rows, out / "states" / name.replace("/", "-"))]
        for says in [read(reader, kept, len(shard))[where]]
    )
    about = {"settings": asdict(settings), "data": data_digests(data), "figures_measured": figures}
    save(out / "weights", reader, Path(model), settings.kept_rank, weighed(held, mini.judgeable), about)
    return figures


def packed(
    shard: Shard,
    where: list[int],
    cases: list[LabelledCase],
    mini: Model,
    reader: TrainedReader,
    room: int = PREFIX_TOKENS,
) -> list[Lesson]:
    """A row for each report of a part of a shard; room: tokens of their prefix."""
    queries = {case.report: case.query for case in cases}
    pages = pages_of(shard, mini.tokenizer)
    by_report: dict[int, list[tuple[int, Any]]] = defaultdict(list)
    for i, row in zip(where, labelled_rows(shard, pages, where), strict=True):
        by_report[shard.items[i]["report"]].append((i, row))
    return [
        lesson
        for report, found in sorted(by_report.items())
        for lesson in lessons(
            queries[shard.reports[report]],
            pages[report],
            [row for _, row in found],
            [i for i, _ in found],
            reader.tokenizer,
            room,
        )
    ]


def mini_says(shard: Shard, where: list[int], mini: Model, device: str) -> np.ndarray:
    """Log-probabilities (n, 3) of mini's own reader."""
    pages = pages_of(shard, mini.tokenizer)
    readings = [
        reading(item["criterion"], pages[item["report"]], shard.scores(i), negative=item["negative"])
        for i in where
        for item in [shard.items[i]]
    ]
    with torch.inference_mode():
        return read_mini(mini.reader, readings, device)


def _asked(parts: dict[str, tuple[Shard, list[int], list[Lesson]]]) -> Any:
    """What is measured on: not what was trained on."""
    return [(name, part) for name, part in parts.items() if not name.startswith("train/") and part[1]]
