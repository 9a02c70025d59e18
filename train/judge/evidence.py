"""Stage one: labelled cases -> shards of evidence. The frozen encoder reads every report once; all training is after.

A shard holds what the reader sees of each (report, criterion): figures, aligned token states in float16, marks, and
the labels. One folder a source, written whole or not at all, so that an interrupted run goes on where it was.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from judger.engines.mini.compute import encode, examine_all
from judger.engines.mini.encoder import Encoder
from judger.engines.mini.features import MARKS, NAMES, Evidence, make_criterion, make_report
from judger.engines.mini.text import Floats, tokenize
from train.judge.data import Example, LabelledCase, examples

CHUNK_REPORTS = 48
"""Reports encoded together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of a source is read. Words are those of reports; criteria are drawn class by class."""

    words: int = 250_000
    report_words: int = 5_000
    criteria: int = 2_400
    synthetic: int = 400
    changed: int = 160


@dataclass(slots=True)
class Tools:
    """The frozen part of the judge. idf (vocabulary,), mean (states,)."""

    encoder: Encoder
    tokenizer: Any
    idf: Floats
    mean: torch.Tensor
    device: str = "cpu"


@dataclass(slots=True)
class Shard:
    """One source's evidence. `at` (n + 1,): where each pair's tokens begin in own, other (tokens, states) and marks."""

    items: list[dict[str, Any]]
    figures: Floats
    at: np.ndarray
    own: np.ndarray
    other: np.ndarray
    marks: np.ndarray
    vectors: np.ndarray

    def __len__(self) -> int:
        return len(self.items)


def choose(cases: Iterable[LabelledCase], limits: Limits, seed: int) -> list[LabelledCase]:
    """Reports that are not too long, up to a number of words, with criteria of each label in equal parts.

    Of a source that a model labelled, or that has one label only, a sixth of that.
    """
    pool = [case for case in cases if len(case.report.split()) <= limits.report_words]
    random.Random(f"{seed}/cases").shuffle(pool)
    kept: list[LabelledCase] = []
    words = 0
    varied = len({c.label for case in pool for c in case.criteria}) > 1
    room = limits.words if varied and all(case.label_source == "human" for case in pool[:1]) else limits.words // 6
    for case in pool:
        words += len(case.report.split())
        if words > room and kept:
            break
        kept.append(case)
    by_label: dict[int, list[tuple[str, str]]] = {}
    for case in kept:
        for c in case.criteria:
            by_label.setdefault(c.label, []).append((case.id, c.id))
    wanted: set[tuple[str, str]] = set()
    for label, ids in sorted(by_label.items()):
        random.Random(f"{seed}/criteria/{label}").shuffle(ids)
        wanted |= set(ids[: max(1, limits.criteria // len(by_label))])
    return [
        LabelledCase(**{**_fields(case), "criteria": found})
        for case in kept
        if (found := tuple(c for c in case.criteria if (case.id, c.id) in wanted))
    ]


def _fields(case: LabelledCase) -> dict[str, Any]:
    return {name: getattr(case, name) for name in ("id", "query", "report", "source", "kind", "label_source")}


def write_shard(folder: Path, cases: Sequence[LabelledCase], tools: Tools, title: str) -> None:
    """Encodes the cases and writes their evidence to `folder`. Does nothing where it is there already."""
    if (folder / "items.json").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    draft = folder.with_name(folder.name + ".part")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    items: list[dict[str, Any]] = []
    figures: list[Floats] = []
    sizes: list[int] = []
    vectors: list[np.ndarray] = []
    with (
        (draft / "own.f16").open("wb") as own,
        (draft / "other.f16").open("wb") as other,
        (draft / "marks.f16").open("wb") as marks,
    ):
        for example, found, mine, theirs in _evidence(cases, tools, title):
            items.append(_describe(example))
            figures.append(found.values)
            vectors.append(found.vectors.astype(np.float16))
            sizes.append(len(found.own))
            for file, array in ((own, mine), (other, theirs), (marks, found.marks)):
                file.write(np.ascontiguousarray(array, np.float16).tobytes())
    np.save(draft / "figures.npy", np.stack(figures) if figures else np.zeros((0, len(NAMES)), np.float32))
    np.save(draft / "vectors.npy", np.stack(vectors) if vectors else np.zeros((0, 3, 384), np.float16))
    np.save(draft / "at.npy", np.cumsum([0, *sizes]))
    (draft / "items.json").write_text(json.dumps(items), encoding="utf-8")
    draft.rename(folder)


def _describe(example: Example) -> dict[str, Any]:
    fields = asdict(example)
    del fields["report"], fields["query"]
    return fields


def _evidence(
    cases: Sequence[LabelledCase], tools: Tools, title: str
) -> Iterator[tuple[Example, Evidence, np.ndarray, np.ndarray]]:
    by_report: dict[str, list[Example]] = {}
    for example in examples(cases):
        by_report.setdefault(example.report, []).append(example)
    reports = sorted(by_report, key=len)
    known: dict[str, Any] = {}
    bar = tqdm(total=len(reports), desc=title, unit="report", mininterval=5)
    for first in range(0, len(reports), CHUNK_REPORTS):
        chunk = reports[first : first + CHUNK_REPORTS]
        new = list(dict.fromkeys(e.criterion for r in chunk for e in by_report[r] if e.criterion not in known))
        tokens = [tokenize(text, tools.tokenizer) for text in (*chunk, *new)]
        with torch.inference_mode():
            states = encode(tools.encoder, tokens, tools.device)
            for text, t, s in zip(new, tokens[len(chunk) :], states[len(chunk) :], strict=True):
                known[text] = make_criterion(text, t, s, tools.mean, tools.idf) if len(t) else None
            for text, t, s in zip(chunk, tokens, states, strict=False):
                wanted = [e for e in by_report[text] if known[e.criterion] is not None]
                if not len(t) or not wanted:
                    continue
                report = make_report(text, t, s, tools.mean)
                criteria = [known[e.criterion] for e in wanted]
                for e, c, found in zip(wanted, criteria, examine_all(report, criteria, tools.idf), strict=True):
                    cut = found.side
                    mine = torch.cat([c.states[found.own[:cut]], report.states[found.own[cut:]]])
                    theirs = torch.cat([report.states[found.other[:cut]], c.states[found.other[cut:]]])
                    yield e, found, mine.cpu().numpy(), theirs.cpu().numpy()
        bar.update(len(chunk))
    bar.close()


def read_shard(folder: Path, width: int) -> Shard:
    """Opens a shard; the big arrays stay on disk."""
    items = json.loads((folder / "items.json").read_text(encoding="utf-8"))
    at = np.load(folder / "at.npy")

    def array(name: str, columns: int) -> np.ndarray:
        if not at[-1]:
            return np.zeros((0, columns), np.float16)
        return np.memmap(folder / name, np.float16, "r", shape=(int(at[-1]), columns))

    return Shard(
        items,
        np.load(folder / "figures.npy"),
        at,
        array("own.f16", width),
        array("other.f16", width),
        array("marks.f16", MARKS),
        np.load(folder / "vectors.npy"),
    )


__all__ = ["Limits", "Shard", "Tools", "choose", "read_shard", "write_shard"]
