"""`judger-train judge --engine mini`: from labelled cases and the base encoder to the built-in judge's files.

    1 evidence    the frozen encoder reads every report once              OUT/evidence/*
    2 older       the reader learns from labels of claims and answers     OUT/runs/older
    3 rubrics     it goes on with criteria on long reports                OUT/runs/rubrics
    4 trees       grown on the figures, a regression beside them          with the weights
    5 calibrate   weights of both, thresholds, what is left open, on held-out tasks
    6 measure     agreement on eval/, if there is one                     OUT/figures.json
    7 files       model.safetensors, trees.safetensors, config.json ...   OUT/weights

A source whose criteria name their kind (`meta.kind`) is one of rubrics, every other one of older labels. Interrupted,
it goes on where it was: give the same command. One seed; the data's digests are in config.json.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from judger.engines.mini.checkpoint import load, save
from judger.engines.mini.compute import read
from judger.engines.mini.denial import stance
from judger.engines.mini.forest import Forest
from judger.engines.mini.linear import Linear
from judger.engines.mini.mix import Mix
from judger.engines.mini.model import Reader
from judger.engines.mini.passage import reading
from train.judge.calibrate import Held, fit_judgeable, fit_mix, fit_thresholds, groups, hard_kinds
from train.judge.draw import Both, Older, Rubrics, rows
from train.judge.evidence import Limits, Shard, Tools, pages_of
from train.judge.fit import OLDER, Recipe, fit, start
from train.judge.forest import Growth, even_weights, grow
from train.judge.linear import fit_linear
from train.judge.measure import agreement, by_kind, coverage, rank_agreement, satisfied
from train.judge.prepare import chosen, data_digests, is_rubric, make_shards, make_tools, read_sources, without_leaks
from train.judge.split import check_split, is_held

OLDER_TOKENS = {"older": 140, "rubrics": 210}
"""Tokens of a passage of an older source, in each stage."""
OLDER_SHARE = 0.2
"""Of the trees' weight, what the older sources have."""
HARD = 0.6
"""Kinds that trees judge worse than this on tasks that they weren't grown on are hard."""
FOLDS = 4


@dataclass(slots=True)
class Part:
    """A shard with the reader's and the trees' say. where (n,): its rows; stances (n,): of claims."""

    shard: Shard
    where: np.ndarray
    logs: np.ndarray
    trees: np.ndarray
    stances: np.ndarray

    def held(self) -> Held:
        items = [self.shard.items[i] for i in self.where]
        return Held(
            self.logs,
            self.trees,
            np.array([item["label"] for item in items], np.int64),
            np.array([item["negative"] for item in items], np.bool_),
            np.array([item["kind"] for item in items], np.str_),
            self.shard.described[self.where],
            np.array([item["turned"] for item in items], np.bool_),
            self.stances,
        )


def asked(
    shard: Shard, where: np.ndarray, reader: Reader, forest: Forest, linear: Linear, tokenizer: Any, device: str
) -> Part:
    """What reader and trees say of some rows, as the served judge does."""
    pages = pages_of(shard, tokenizer)
    readings = [
        reading(item["criterion"], pages[item["report"]], shard.scores(i), negative=item["negative"])
        for i in where
        for item in [shard.items[i]]
    ]
    stances = [
        stance(item["criterion"], item["negative"], page.text, page.spans, shard.scores(i))
        for i in where
        for item in [shard.items[i]]
        for page in [pages[item["report"]]]
    ]
    with torch.inference_mode():
        logs = read(reader, readings, device)
    figures, negative = shard.figures[where], [shard.items[i]["negative"] for i in where]
    fitted = forest(figures) + linear(figures, shard.described[where], negative)
    return Part(shard, where, logs, fitted, np.array(stances, np.str_))


def trees(shards: Mapping[str, Shard], rubrics: Sequence[str], growth: Growth, seed: int) -> tuple[Forest, Linear]:
    """Grown on the rubrics that are not held out, and on the older sources; the regression on the rubrics alone."""
    figures, truths, weights, described, negatives, of_mine = [], [], [], [], [], []
    for name, shard in shards.items():
        mine = name in rubrics
        where = [i for i, item in enumerate(shard.items) if not (mine and is_held(item))]
        if not where:
            continue
        items = [shard.items[i] for i in where]
        negative = np.array([item["negative"] for item in items], np.bool_)
        truth = satisfied(np.array([item["label"] for item in items]), negative)
        weight = even_weights(groups(np.array([item["kind"] for item in items]), negative), truth)
        figures.append(shard.figures[where])
        described.append(shard.described[where])
        negatives.append(negative)
        of_mine.append(np.full(len(where), mine or not rubrics))
        truths.append(truth)
        weights.append(weight if mine else weight * len(where) ** -0.5)
    of_rubrics = sum(w.sum() for w, name in zip(weights, shards, strict=False) if name in rubrics)
    older = sum(w.sum() for w, name in zip(weights, shards, strict=False) if name not in rubrics)
    if of_rubrics and older:
        share = OLDER_SHARE / (1 - OLDER_SHARE) * of_rubrics / older
        weights = [w if name in rubrics else w * share for w, name in zip(weights, shards, strict=False)]
    rows, truth, weight = np.concatenate(figures), np.concatenate(truths), np.concatenate(weights)
    forest, here = grow(rows, truth, weight, growth, seed), np.concatenate(of_mine)
    kinds, signs = np.concatenate(described)[here], np.concatenate(negatives)[here]
    return forest, fit_linear(rows[here], kinds, signs, truth[here], weight[here])


def crossed(every: Held, figures: np.ndarray, tasks: Sequence[str], growth: Growth, seed: int) -> np.ndarray:
    """(n,) the strict bit as trees and regression have it that saw nothing of the row's task: how well a kind can be
    judged."""
    fold = np.array([zlib.crc32(f"f{task}".encode()) % FOLDS for task in tasks])
    logit = np.zeros(len(tasks))
    for number in np.unique(fold):
        rest, here = fold != number, fold == number
        truth = every.satisfied[rest]
        if 0 < truth.sum() < len(truth):
            weights = even_weights(every.groups[rest], truth)
            forest = grow(figures[rest], truth, weights, growth, seed)
            linear = fit_linear(figures[rest], every.described[rest], every.negative[rest], truth, weights)
            logit[here] = forest(figures[here]) + linear(figures[here], every.described[here], every.negative[here])
    return np.asarray(np.where(every.turned, -logit, logit) >= 0)


def run(
    data: Path,
    out: Path,
    *,
    seed: int = 0,
    older: Recipe = OLDER,
    recipe: Recipe | None = None,
    growth: Growth | None = None,
    limits: Limits | None = None,
    device: str = "cpu",
    workers: int = 2,
    base: Path | None = None,
) -> dict[str, Any]:
    """The whole recipe; the figures that also go into config.json. Raises DataError for a file that is no case file.

    base: a folder of weights whose encoder and reader are taken as they are; stages 4 to 7 alone are run.
    """
    out.mkdir(parents=True, exist_ok=True)
    recipe, growth, limits = replace(recipe or Recipe(), seed=seed), growth or Growth(), limits or Limits()
    train = read_sources(data / "train")
    tested = read_sources(data / "eval") if (data / "eval").is_dir() else {}
    train = without_leaks(train, tested)
    rubrics = [name for name, cases in train.items() if is_rubric(cases)]
    known = None if base is None else load(base, device)
    tools = (
        make_tools(out, [case for cases in train.values() for case in cases], device)
        if known is None
        else Tools(known.encoder, known.tokenizer, known.idf, known.mean, device)
    )
    shards = make_shards(chosen(train, limits, seed), out / "evidence", tools, workers)
    check_split(item for name in rubrics or shards for item in shards[name].items)

    labels = {name: cases for name, cases in train.items() if name not in rubrics and cases}
    reader = start(tools.encoder, recipe) if known is None else known.reader
    if labels and known is None:
        short = Older(labels, tools.tokenizer, tokens=OLDER_TOKENS["older"])
        reader = fit(reader, short.begin, replace(older, seed=seed), out / "runs" / "older", device)
    if rubrics and known is None:
        found = []
        for name in rubrics:
            where = [i for i, item in enumerate(shards[name].items) if not is_held(item)]
            found += rows(shards[name], pages_of(shards[name], tools.tokenizer), where)
        beside = Older(labels, tools.tokenizer, tokens=OLDER_TOKENS["rubrics"]) if labels else None
        reader = fit(reader, Both(Rubrics(found, seed), beside).begin, recipe, out / "runs" / "rubrics", device)
    forest, linear = trees(shards, rubrics, growth, seed)

    held = _joined(
        asked(shard, where, reader, forest, linear, tools.tokenizer, device)
        for name, shard in shards.items()
        if name in rubrics or not rubrics
        for where in [np.array([i for i, item in enumerate(shard.items) if is_held(item)], np.int64)]
        if len(where)
    )
    mix = fit_mix(held)
    stated = held.stated
    calibration = fit_thresholds(stated, "held-out tasks of the rubrics, natural rates")
    p = held.mixed(mix, calibration)
    every = _joined(_unasked(shards[name]) for name in rubrics or shards)
    tasks = [str(item["group"] or item["document"]) for name in rubrics or shards for item in shards[name].items]
    every_figures = np.concatenate([shards[name].figures for name in rubrics or shards])
    hard = hard_kinds(crossed(every, every_figures, tasks, growth, seed), every.stated, HARD)
    is_hard = np.isin(every.stated.groups, sorted(hard))
    judgeable = fit_judgeable(p, stated, calibration, every.described, is_hard)

    figures: dict[str, Any] = {"hard": sorted(hard)}
    for name, shard in make_shards(tested, out / "eval", tools, workers).items():
        part = asked(shard, np.arange(len(shard)), reader, forest, linear, tools.tokenizer, device)
        figures.setdefault("eval", {})[name] = _figures(
            part, mix, calibration, judgeable.p_hard(shard.described) >= judgeable.hard
        )
    about = {"name": "mini", "seed": seed, "recipe": {"older": asdict(older), "rubrics": asdict(recipe)}}
    about |= {"limits": asdict(limits), "data": data_digests(data), "figures_measured": figures}
    save(
        out / "weights",
        tools.encoder,
        reader,
        forest,
        linear,
        mix,
        judgeable,
        tools.tokenizer,
        tools.idf,
        tools.mean,
        calibration,
        about,
        base=base,
    )
    (out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return figures


def _unasked(shard: Shard) -> Part:
    """All rows of a shard, for what the criteria themselves tell."""
    n = len(shard)
    return Part(shard, np.arange(n), np.zeros((n, 3)), np.zeros(n), np.full(n, "none"))


def _joined(parts: Any) -> Held:
    """The rows of several parts as one."""
    found = [part.held() for part in parts]
    names = ("logs", "trees", "labels", "negative", "kinds", "described", "turned", "stances")
    return Held(*(np.concatenate([getattr(one, name) for one in found]) for name in names))


def _figures(part: Part, mix: Mix, calibration: Any, hard: np.ndarray) -> dict[str, Any]:
    held = part.held()
    stated, p = held.stated, held.mixed(mix, calibration)
    found: dict[str, Any] = agreement(p, stated.labels, stated.negative, calibration)
    if any(stated.kinds):
        found["kinds"] = by_kind(p, stated.labels, stated.negative, stated.kinds, calibration)
        found["coverage"] = coverage(p, stated.labels, stated.negative, hard, calibration)
    return found


__all__ = ["asked", "is_held", "rank_agreement", "run"]
