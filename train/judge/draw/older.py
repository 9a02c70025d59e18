"""Lessons from older labels: claims and answers, on short passages."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from judger.engines.mini.encoder import CLS, SEP
from judger.engines.mini.passage import CRITERION_TOKENS, Reading, ids
from train.judge.data import FULLY, NOT, PARTIALLY, LabelledCase
from train.judge.edits import names
from train.judge.restate import STATED, changed, claim
from train.judge.statements import sentences, statement

WORD = re.compile(r"\w+")
HALF = 0.5


@dataclass(frozen=True, slots=True)
class Lesson:
    """A reading with its label; `three`: the label tells not from partially, too."""

    reading: Reading
    label: int
    negative: bool
    three: bool
    weight: float = 1.0


class Older:
    """Draws from cases with short passages: a source, then a class, then a criterion, restated half the time."""

    CHARACTERS = 4.3
    """Of a token, about."""

    def __init__(
        self, sources: Mapping[str, Sequence[LabelledCase]], tokenizer: Any, *, tokens: int, seed: int = 0
    ) -> None:
        self.rng, self.tokenizer, self.tokens = random.Random(seed), tokenizer, tokens
        self.common: Counter[str] = Counter()
        self.pools: list[tuple[list[_Older], ...]] = []
        weights: list[float] = []
        for name, cases in sources.items():
            found, edited = self._items(name, cases)
            for items, is_edit in ((found, False), (edited, True)):
                pools = tuple(
                    pool
                    for pool in ([i for i in items if i.label == FULLY], [i for i in items if i.label != FULLY])
                    if pool
                )
                if pools:
                    alone = 0.5 if is_edit else 0.25
                    self.pools.append(pools)
                    weights.append(min(len(items), 8_000) ** 0.6 * (1.0 if len(pools) == 2 else alone))
        self.weights = weights

    def begin(self, seed: int) -> Older:
        """Draws from here on as this seed says."""
        self.rng.seed(seed)
        return self

    def __call__(self) -> Lesson:
        pools = self.rng.choices(self.pools, self.weights)[0]
        item = self.rng.choice(self.rng.choice(pools))
        text = claim(item.text, self.rng, STATED) if self.rng.random() < HALF else item.text
        negative = self.rng.random() < 0.35
        first = ids(("flaw: " if negative else "requirement: ") + text, self.tokenizer)[:CRITERION_TOKENS]
        second = ids(self._passage(item), self.tokenizer)[: self.tokens]
        return Lesson(Reading([CLS, *first, SEP, *second, SEP], len(first) + 2), item.label, negative, item.three)

    def _items(self, name: str, cases: Sequence[LabelledCase]) -> tuple[list[_Older], list[_Older]]:
        found: list[_Older] = []
        edited: list[_Older] = []
        three = any(c.label == PARTIALLY for case in cases for c in case.criteria)
        pool = [c.text[a:b] for case in cases[:1500] for c in case.criteria for a, b in names(c.text)][:4000]
        for case in cases:
            self.common.update(set(WORD.findall(case.report.lower()[:5000])))
            for c in case.criteria:
                item = _Older(case.report, c.text, c.label, three)
                found.append(item)
                what = statement(c.text)
                if c.label != FULLY or what is None or what.shape != "clause" or len(c.text.split()) >= 45:
                    continue
                new = changed(what.core, case.report, pool, self.rng)
                if new is not None:
                    edited.append(replace(item, text=new, label=NOT, three=False))
        return found, edited

    def _passage(self, item: _Older) -> str:
        """The sentences with the criterion's rarer words, in the report's order."""
        room = self.tokens * self.CHARACTERS
        if len(item.report) < room:
            return item.report
        wanted = set(WORD.findall(item.text.lower()))
        pieces = sentences(item.report)
        score = [
            sum(1 / (1 + np.log1p(self.common[word])) for word in set(WORD.findall(piece.lower())) & wanted)
            for piece in pieces
        ]
        kept: set[int] = set()
        for place in sorted(range(len(pieces)), key=lambda i: -score[i]):
            if kept and room < len(pieces[place]):
                break
            kept.add(place)
            room -= len(pieces[place])
        return " ".join(pieces[i].strip() for i in sorted(kept))


@dataclass(frozen=True, slots=True)
class _Older:
    report: str
    text: str
    label: int
    three: bool
