"""Training pairs made from labelled ones: hard negatives, flaws, and reports changed without changing a verdict.

Everything is a generator over cases, and deterministic in a seed: what is made of a case depends on the seed, the case
and the corpus alone, in whatever order cases come. Each criterion made says how in `meta.synthetic`, and of which
report in `meta.document`, so that a split by document keeps both together.

    other_report   a criterion of another report, which this one holds next to no word of         -> not
    swapped_*      another number, name or date in what the report states                         -> not
    negated        a negation put in or taken out of what the report states                       -> not
    removed        the sentences that state it taken out of the report                            -> not
    flaw_*         the criterion as a flaw: omission (label turned), commission, contradiction
    moved, plain, praised   the report changed, the labels kept
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from train.judge import augment
from train.judge.data import FULLY, NOT, LabelledCase, LabelledCriterion, digest
from train.judge.edits import names, negate, swap_date, swap_name, swap_number
from train.judge.flaws import Phrasings, contradicted, restated
from train.judge.statements import PassageScore, Statement, Weights, sentences, statement

GENERIC_REPORTS = 5
"""A text that is a criterion of this many reports, and labelled both ways, is no statement of one of them."""
FOREIGN_RECALL = 0.3
"""A criterion of another report is taken for unsatisfied if no passage holds more of it (weighed by idf)."""
REMOVED_RECALL = 0.35
MAX_REMOVED = 0.3
"""At most this share of a report's sentences is taken out."""
CANDIDATES = 12
NAMES_KEPT = 4_000

Kind = Callable[["Corpus", LabelledCase, random.Random], Iterator[LabelledCase]]


class Corpus:
    """What the synthesis of one case may draw on: all cases, idf weights, names and criteria by source."""

    def __init__(self, cases: Iterable[LabelledCase], passage_score: PassageScore | None = None) -> None:
        self.cases: Sequence[LabelledCase] = tuple(cases)
        self.weights = Weights(dict.fromkeys(case.report for case in self.cases))
        self.score: PassageScore = passage_score or self.weights.scores
        self._pool: dict[tuple[str, str], list[tuple[str, LabelledCriterion]]] = defaultdict(list)
        labels: dict[str, set[int]] = defaultdict(set)
        seen: dict[str, set[str]] = defaultdict(set)
        found: dict[str, dict[str, None]] = defaultdict(dict)
        for case in self.cases:
            for criterion in case.criteria:
                labels[criterion.text].add(criterion.label)
                seen[criterion.text].add(case.id)
                found[case.source].update((criterion.text[a:b], None) for a, b in names(criterion.text))
                if criterion.label == FULLY:
                    for key in {(case.source, _group(case, criterion)), (case.source, "")}:
                        self._pool[key].append((case.id, criterion))
        self.names = {source: list(spans)[:NAMES_KEPT] for source, spans in found.items()}
        self.generic = {t for t, ids in seen.items() if len(ids) >= GENERIC_REPORTS and len(labels[t]) > 1}

    def elsewhere(self, case: LabelledCase, rng: random.Random) -> list[LabelledCriterion]:
        """Some criteria that other reports satisfy: of the same group first, then of the same source."""
        groups = dict.fromkeys([*(_group(case, criterion) for criterion in case.criteria), ""])
        found: list[LabelledCriterion] = []
        for group in groups:
            pool = self._pool.get((case.source, group), [])
            picked = rng.sample(pool, min(CANDIDATES, len(pool)))
            found += [criterion for owner, criterion in picked if owner != case.id]
        return found


def _group(case: LabelledCase, criterion: LabelledCriterion) -> str:
    return str(criterion.meta.get("group", "")) or case.query


def synthesize(corpus: Corpus, kinds: Iterable[str], *, seed: int = 0) -> Iterator[LabelledCase]:
    """All cases of the given kinds (keys of `KINDS`), case by case."""
    chosen = {kind: KINDS[kind] for kind in kinds}
    for case in corpus.cases:
        for kind, make in chosen.items():
            yield from make(corpus, case, random.Random(f"{seed}/{kind}/{case.source}/{case.id}"))


def other_report(corpus: Corpus, case: LabelledCase, rng: random.Random) -> Iterator[LabelledCase]:
    """Of several criteria of other reports the one with the most words in this one, but not too many."""
    own = {criterion.text for criterion in case.criteria}
    best: tuple[float, LabelledCriterion] | None = None
    for criterion in corpus.elsewhere(case, rng):
        what = statement(criterion.text)
        if criterion.text in own | corpus.generic or what is None or what.shape in {"question", "noun"}:
            continue
        recall = corpus.weights.best_recall(what.core, case.report)
        if recall < FOREIGN_RECALL and (best is None or recall > best[0]):
            best = recall, criterion
    if best is not None:
        yield _made(case, "other_report", [(best[1].text, NOT)])


def swapped(corpus: Corpus, case: LabelledCase, rng: random.Random) -> Iterator[LabelledCase]:
    """One number, date or name of each stated clause exchanged."""
    for what in _stated(corpus, case):
        new_name = swap_name(what.core, case.report, corpus.names.get(case.source, []), rng)
        altered = {
            "swapped_number": swap_number(what.core, case.report, rng),
            "swapped_date": swap_date(what.core, case.report, rng),
            # What is asked of every contract names its parties by their roles: another role is no other name.
            "swapped_name": None if what.prefix + what.core in corpus.generic else new_name,
        }
        for kind, core in altered.items():
            if core is not None:
                yield _made(case, kind, [(what.prefix + core, NOT)])


def negated(corpus: Corpus, case: LabelledCase, rng: random.Random) -> Iterator[LabelledCase]:
    """The opposite of each stated clause."""
    for what in _stated(corpus, case):
        if (altered := negate(what.core)) is not None:
            yield _made(case, "negated", [(what.prefix + altered, NOT)])


def removed(corpus: Corpus, case: LabelledCase, rng: random.Random) -> Iterator[LabelledCase]:
    """The report without the sentences that state one of its criteria; skipped where a trace of it stays."""
    stated = list(_stated(corpus, case))
    if not stated:
        return
    what = rng.choice(stated)
    parts = sentences(case.report)
    limit = max(int(MAX_REMOVED * len(parts)), len(parts) >= 3)
    scores = corpus.score(what.core, parts)
    order = sorted(range(len(parts)), key=lambda i: -scores[i])
    for count in range(1, limit + 1):
        gone = set(order[:count])
        report = "".join(part for i, part in enumerate(parts) if i not in gone).strip()
        if report and corpus.weights.best_recall(what.core, report) < REMOVED_RECALL:
            yield _made(case, "removed", [(what.prefix + what.core, NOT)], report)
            return


def flaws(phrasings: Phrasings = "train") -> Kind:
    """Each criterion restated as a flaw; contradictions from swaps and negations of what the report states."""

    def make(corpus: Corpus, case: LabelledCase, rng: random.Random) -> Iterator[LabelledCase]:
        for criterion in case.criteria:
            what = statement(criterion.text)
            if what is None or criterion.is_negative:
                continue
            for flaw in restated(what, criterion.label, rng, phrasings):
                yield _made(case, flaw.kind, [(flaw.text, flaw.label)], negative=True)
        for what in _stated(corpus, case):
            altered = swap_number(what.core, case.report, rng) or negate(what.core)
            if altered is not None:
                flaw = contradicted(altered, rng, phrasings)
                yield _made(case, flaw.kind, [(flaw.text, flaw.label)], negative=True)

    return make


def moved(corpus: Corpus, case: LabelledCase, rng: random.Random) -> Iterator[LabelledCase]:
    """The paragraph that bears on one of the stated criteria elsewhere in the report."""
    stated = list(_stated(corpus, case))
    report = augment.moved(case.report, rng.choice(stated).core, corpus.score, rng) if stated else None
    if report is not None:
        yield from _changed(corpus, case, "moved", report)


def plain(corpus: Corpus, case: LabelledCase, rng: random.Random) -> Iterator[LabelledCase]:
    """The report without Markdown, where it has any."""
    report = augment.plain(case.report)
    if report != case.report and report.strip():
        yield from _changed(corpus, case, "plain", report)


def praised(corpus: Corpus, case: LabelledCase, rng: random.Random) -> Iterator[LabelledCase]:
    """The report with sentences that say that it meets everything."""
    yield from _changed(corpus, case, "praised", augment.praised(case.report, rng))


KINDS: Mapping[str, Kind] = {
    "other_report": other_report,
    "swapped": swapped,
    "negated": negated,
    "removed": removed,
    "flaws": flaws("train"),
    "flaws_held_out": flaws("held_out"),
    "moved": moved,
    "plain": plain,
    "praised": praised,
}


def _stated(corpus: Corpus, case: LabelledCase) -> Iterator[Statement]:
    """The clauses that people found fully satisfied."""
    for criterion in case.criteria:
        what = statement(criterion.text)
        if what and what.shape == "clause" and criterion.label == FULLY and not criterion.is_negative:
            yield what


def _changed(corpus: Corpus, case: LabelledCase, kind: str, report: str) -> Iterator[LabelledCase]:
    """The case with another report; criteria about the report as a whole are left out, for they may change."""
    kept = [(c.text, c.label) for c in case.criteria if not c.is_negative and statement(c.text) is not None]
    if kept:
        yield _made(case, kind, kept, report)


def _made(
    case: LabelledCase, kind: str, items: list[tuple[str, int]], report: str | None = None, *, negative: bool = False
) -> LabelledCase:
    meta = {"synthetic": kind, "document": digest(case.report)}
    if groups := {str(c.meta["group"]) for c in case.criteria if "group" in c.meta}:
        meta["group"] = min(groups)
    criteria = tuple(
        LabelledCriterion(
            id=f"s{i}",
            text=text,
            label=label,
            weight=-1.0 if negative else 1.0,
            role="negative" if negative else "explicit",
            meta=meta,
        )
        for i, (text, label) in enumerate(items, 1)
    )
    made_id = f"{case.id}/{kind}/{digest(items[0][0])[:8]}"
    return replace(case, id=made_id, report=case.report if report is None else report, criteria=criteria)
