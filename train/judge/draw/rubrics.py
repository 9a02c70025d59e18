"""Lessons from criteria on long reports, and what rules make of them; with an older label now and then."""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from judger.engines.mini.encoder import SEP
from judger.engines.mini.passage import PAIR_TOKENS, Pages, Reading, ids, reading
from judger.engines.mini.text import Floats
from train.judge.data import FULLY, NOT, PARTIALLY
from train.judge.draw.older import HALF, WORD, Lesson, Older
from train.judge.edits import names
from train.judge.evidence import Shard
from train.judge.restate import PRAISE, changed, claim, claimed, copied, omission, restated

CLAIM_KINDS = frozenset({"claim_made", "claim_denied", "claim_altered", "claim_absent"})
WHOLE = frozenset("style off_topic overclaim tone scope citation form absence at_least_n".split())
"""Kinds of criteria that can be met by a report of another task."""
_MARKED = re.compile(r"\[[\d, ]{1,40}\]|[*_`]")


@dataclass(slots=True)
class Row:
    """A criterion of a rubric on one report."""

    text: str
    label: int
    negative: bool
    kind: str
    group: str
    pages: Pages
    score: Floats
    weight: float = 1.0

    @property
    def satisfied(self) -> bool:
        return self.label >= PARTIALLY if self.negative else self.label == FULLY


def rows(shard: Shard, pages: Sequence[Pages], where: Sequence[int]) -> list[Row]:
    """Rows of a shard, weighed so that both sides of the strict bit count alike within a kind."""
    found = [
        Row(
            item["criterion"],
            item["label"],
            item["negative"],
            item["kind"],
            item["group"],
            pages[item["report"]],
            shard.scores(i),
        )
        for i in where
        for item in [shard.items[i]]
    ]
    cells = Counter((kind_group(row), row.satisfied) for row in found)
    sizes = Counter(map(kind_group, found))
    for row in found:
        group = kind_group(row)
        even = HALF * sizes[group] / cells[group, row.satisfied]
        row.weight = (min(2.5, max(0.4, even)) if sizes[group] >= 20 else 0.7) * (1.25 if row.negative else 1.0)
    return found


def kind_group(row: Row) -> tuple[str, bool]:
    """Within what classes are balanced."""
    return ("claims" if row.kind in CLAIM_KINDS else row.kind), row.negative


class Rubrics:
    """Draws from rubrics: most as labelled, some restated, the rest made by rules."""

    MADE = 0.2

    def __init__(self, found: Sequence[Row], seed: int) -> None:
        self.rows = found
        self.rng = random.Random(seed)
        self.noise = np.random.default_rng(seed)
        self.weights = [row.weight for row in found]
        self.names = [row.text[a:b] for row in found for a, b in names(row.text)][:6000]
        self.claims = [row for row in found if row.kind in CLAIM_KINDS and claimed(row.text)]
        by_report: dict[int, list[Row]] = defaultdict(list)
        for row in found:
            by_report[id(row.pages)].append(row)
        self.reports = list(by_report.values())
        self.order: list[int] = []
        self._bags: dict[int, list[frozenset[str]]] = {}
        self._sentences: dict[int, list[str]] = {}

    def begin(self, seed: int) -> Rubrics:
        """Draws from here on as this seed says."""
        self.rng.seed(seed)
        self.noise = np.random.default_rng(seed)
        self.order = []
        return self

    def __call__(self) -> Lesson:
        made = self._made() if self.rng.random() < self.MADE else None
        return made or self._labelled()

    def _labelled(self) -> Lesson:
        if not self.order:
            self.order = list(range(len(self.rows)))
            self.rng.shuffle(self.order)
        row = self.rows[self.order.pop()]
        text = restated(row.text, self.rng) if self.rng.random() < 0.35 else row.text
        beside = None
        if row.label == NOT and row.kind != "omission" and self.rng.random() < 0.07:
            beside = copied(text, self.rng)
        elif self.rng.random() < 0.02:
            beside = self.rng.choice(PRAISE)
        made = self._read(row.pages, row.score, text, row.negative, beside)
        return Lesson(made, row.label, row.negative, True, row.weight)

    def _made(self) -> Lesson | None:
        kind = self.rng.random()
        for _ in range(20):
            if kind < 0.45:
                found = self._sentence()
            elif kind < 0.65:
                found = self._omission()
            elif kind < 0.8:
                found = self._turned()
            elif kind < 0.9:
                found = self._changed()
            else:
                found = self._elsewhere()
            if found is not None:
                return found
        return None

    def _sentence(self) -> Lesson | None:
        """A sentence of the report as a claim, as it stands or with one detail changed."""
        rows = self.rng.choice(self.reports)
        pages = rows[0].pages
        pool = self._prose(pages)
        if not pool:
            return None
        core: str | None = self.rng.choice(pool).rstrip(".")
        label = FULLY
        assert core is not None
        if self.rng.random() < 0.6:
            core, label = changed(core, pages.text, self.names, self.rng), NOT
            if core is None:
                return None
        elif self.rng.random() < 0.4 and len(core.split(", ", 1)[-1].split()) > 6:
            core = core.split(", ", 1)[-1]
        negative = self.rng.random() < 0.6
        score = self._overlap(core, pages) + 0.3 * self.rng.choice(rows).score
        return Lesson(self._read(pages, score, claim(core, self.rng), negative), label, negative, False, 0.8)

    def _omission(self) -> Lesson | None:
        """A requirement as the flaw of not meeting it."""
        row = self.rng.choices(self.rows, self.weights)[0]
        text = None if row.negative else omission(row.text, self.rng)
        if text is None:
            return None
        return Lesson(self._read(row.pages, row.score, text, True), FULLY - row.label, True, True, row.weight)

    def _turned(self) -> Lesson | None:
        """A claim with the other sign."""
        if not self.claims:
            return None
        row = self.rng.choice(self.claims)
        text = claim(claimed(row.text) or "", self.rng)
        made = self._read(row.pages, row.score, text, not row.negative)
        return Lesson(made, row.label, not row.negative, False, row.weight)

    def _changed(self) -> Lesson | None:
        """A claim that is made, with one detail changed."""
        row = self.rng.choice(self.rows)
        core = claimed(row.text) if row.label == FULLY else None
        new = changed(core, row.pages.text, self.names, self.rng) if core else None
        if new is None:
            return None
        negative = self.rng.random() < 0.6
        return Lesson(self._read(row.pages, row.score, claim(new, self.rng), negative), NOT, negative, False)

    def _elsewhere(self) -> Lesson | None:
        """A criterion of another task, which this report holds few words of."""
        row, others = self.rng.choice(self.rows), self.rng.choice(self.reports)
        if others[0].group == row.group or row.kind in WHOLE:
            return None
        overlap = self._overlap(row.text, others[0].pages)
        if overlap.max() > 0.6:
            return None
        label = FULLY if row.kind == "omission" else NOT
        return Lesson(self._read(others[0].pages, overlap, row.text, row.negative), label, row.negative, False, 0.7)

    def _read(self, pages: Pages, score: Floats, text: str, negative: bool, beside: str | None = None) -> Reading:
        shaken = score + self.noise.normal(0, 0.25 * float(score.std()) + 1e-6, len(score))
        found = reading(text, pages, np.asarray(shaken, np.float32), negative=negative)
        if beside is None:
            return found
        head, tail = found.ids[: found.second], found.ids[found.second : -1]
        added, gap = ids(beside, pages.tokenizer)[:60], ids("|", pages.tokenizer)
        room = PAIR_TOKENS - len(head) - len(added) - 2
        both = [*added, *gap, *tail[:room]] if self.rng.random() < HALF else [*tail[:room], *gap, *added]
        return Reading([*head, *both, SEP], found.second)

    def _overlap(self, text: str, pages: Pages) -> Floats:
        wanted = _bag(text)
        if id(pages) not in self._bags:
            self._bags[id(pages)] = [_bag(pages.text[a:b]) for a, b in pages.spans]
        return np.array([len(wanted & bag) for bag in self._bags[id(pages)]], np.float32) / max(1, len(wanted))

    def _prose(self, pages: Pages) -> list[str]:
        """Whole plain sentences of moderate length."""
        if id(pages) not in self._sentences:
            plain = (_MARKED.sub("", pages.text[a:b]).strip() for a, b in pages.spans)
            self._sentences[id(pages)] = [
                text
                for text in plain
                if 7 <= len(text.split()) <= 28 and text.endswith(".") and text[0].isupper() and "](" not in text
            ]
        return self._sentences[id(pages)]


def _bag(text: str) -> frozenset[str]:
    return frozenset(word[:6] for word in WORD.findall(text.lower()) if len(word) > 3)


class Both:
    """Rubrics, and now and then an older label, so that what was learnt is kept."""

    OLDER = 0.17

    def __init__(self, rubrics: Rubrics, older: Older | None) -> None:
        self.rubrics, self.older = rubrics, older
        self.rng = random.Random(0)

    def begin(self, seed: int) -> Both:
        """Draws from here on as this seed says."""
        self.rng.seed(seed)
        self.rubrics.begin(seed + 1)
        if self.older is not None:
            self.older.begin(seed + 2)
        return self

    def __call__(self) -> Lesson:
        if self.older is not None and self.rng.random() < self.OLDER:
            return replace(self.older(), weight=0.7)
        return self.rubrics()
