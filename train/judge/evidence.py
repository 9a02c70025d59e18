"""Stage one: labelled cases -> shards of evidence. The frozen encoder reads every report once; all training is after.

A shard holds of each (report, criterion) how far every unit of the report bears on the criterion, the figures, the
criterion's vector and the label. One folder a source, written whole or not at all, so that an interrupted run goes on
where it was.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from judger.engines.mini.compute import encode, examine_all
from judger.engines.mini.encoder import Encoder
from judger.engines.mini.facts import Facts
from judger.engines.mini.features import Evidence, make_criterion, make_report
from judger.engines.mini.figures import figures
from judger.engines.mini.judgeable import describe
from judger.engines.mini.passage import Pages
from judger.engines.mini.signals import form_signals
from judger.engines.mini.text import Floats, tokenize, unit_spans
from train.judge.data import Example, LabelledCase, examples

CHUNK_REPORTS = 32
"""Reports encoded together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of a source of older labels is read. Words are those of reports; sources of rubrics are read whole."""

    words: int = 25_000
    report_words: int = 5_000
    criteria: int = 400


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
    """One source's evidence, a row each (report, criterion).

    items: the examples without their texts, and `report`, an index of `reports`; at (n + 1,): where each row's unit
    scores begin in `score`; described (n, k): what tells a criterion's kind.
    """

    items: list[dict[str, Any]]
    reports: list[str]
    figures: Floats
    described: Floats
    at: np.ndarray
    score: np.ndarray

    def __len__(self) -> int:
        return len(self.items)

    def scores(self, row: int) -> Floats:
        """(u,) how far each unit of the row's report bears on its criterion."""
        return np.asarray(self.score[self.at[row] : self.at[row + 1]], np.float32)


def choose(cases: Iterable[LabelledCase], limits: Limits, seed: int) -> list[LabelledCase]:
    """Reports that are not too long, up to a number of words, with criteria of each label in equal parts."""
    pool = [case for case in cases if len(case.report.split()) <= limits.report_words]
    random.Random(f"{seed}/cases").shuffle(pool)
    kept: list[LabelledCase] = []
    words = 0
    for case in pool:
        words += len(case.report.split())
        if words > limits.words and kept:
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
    chosen = [replace(case, criteria=tuple(c for c in case.criteria if (case.id, c.id) in wanted)) for case in kept]
    return [case for case in chosen if case.criteria]


def write_shard(folder: Path, cases: Sequence[LabelledCase], tools: Tools, title: str) -> None:
    """Encodes the cases and writes their evidence to `folder`. Does nothing where it is there already."""
    if (folder / "items.json").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    draft = folder.with_name(folder.name + ".part")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    places: dict[str, int] = {}
    items: list[dict[str, Any]] = []
    rows: list[Floats] = []
    described: list[Floats] = []
    scores: list[np.ndarray] = []
    for example, found, row, what in _evidence(cases, tools, title):
        place = places.setdefault(example.report, len(places))
        fields = asdict(example)
        del fields["report"], fields["query"]
        items.append(fields | {"report": place})
        rows.append(row)
        described.append(what)
        scores.append(found.score.astype(np.float16))
    empty = np.zeros((0, 0), np.float32)
    np.save(draft / "figures.npy", np.stack(rows) if rows else empty)
    np.save(draft / "described.npy", np.stack(described) if described else empty)
    np.save(draft / "at.npy", np.cumsum([0, *map(len, scores)]))
    np.save(draft / "score.npy", np.concatenate(scores) if scores else np.zeros(0, np.float16))
    (draft / "reports.json").write_text(json.dumps(list(places)), encoding="utf-8")
    (draft / "items.json").write_text(json.dumps(items), encoding="utf-8")
    draft.rename(folder)


def read_shard(folder: Path) -> Shard:
    """What `write_shard` wrote."""
    arrays = [np.load(folder / f"{name}.npy") for name in ("figures", "described", "at", "score")]
    items, reports = (json.loads((folder / f"{name}.json").read_text("utf-8")) for name in ("items", "reports"))
    return Shard(items, reports, *arrays)


def pages_of(shard: Shard, tokenizer: Any) -> list[Pages]:
    """The reports of a shard, ready to be read."""
    return [
        Pages.of(text, unit_spans(tokenize(text, tokenizer)), tokenizer, form_signals(text))
        for text in tqdm(shard.reports, desc="pages", unit="report", mininterval=5)
    ]


def _evidence(
    cases: Sequence[LabelledCase], tools: Tools, title: str
) -> Iterator[tuple[Example, Evidence, Floats, Floats]]:
    by_report: dict[str, list[Example]] = {}
    for example in examples(cases):
        by_report.setdefault(example.report, []).append(example)
    reports = sorted(by_report, key=len)
    bar = tqdm(total=len(reports), desc=title, unit="report", mininterval=5)
    for first in range(0, len(reports), CHUNK_REPORTS):
        chunk = reports[first : first + CHUNK_REPORTS]
        wanted = list(dict.fromkeys(e.criterion for r in chunk for e in by_report[r]))
        tokens = [tokenize(text, tools.tokenizer) for text in (*chunk, *wanted)]
        with torch.inference_mode():
            states = encode(tools.encoder, tokens, tools.device)
            made = {
                text: make_criterion(text, t, s, tools.mean, tools.idf)
                for text, t, s in zip(wanted, tokens[len(chunk) :], states[len(chunk) :], strict=True)
                if len(t)
            }
            for text, t, s in zip(chunk, tokens, states, strict=False):
                mine = [e for e in by_report[text] if e.criterion in made]
                if not len(t) or not mine:
                    continue
                report, signals = make_report(text, t, s, tools.mean), form_signals(text)
                facts = Facts.of(text, unit_spans(t))
                found = examine_all(report, [made[e.criterion] for e in mine], tools.idf)
                for e, evidence in zip(mine, found, strict=True):
                    row = figures(e.criterion, evidence, signals, facts, negative=e.negative)
                    yield e, evidence, row, describe(made[e.criterion], negative=e.negative)
        bar.update(len(chunk))
    bar.close()
