"""The answers to "which of two reports": people's and judges', blind. Files, and the pairs that they are about.

The general track of ADR-Bench (Step-DeepResearch, arXiv 2512.20491, section 6): two reports side by side, without
their systems' names, four dimensions, five answers.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from judger.errors import Fault, InvalidFile
from judger.rubric.place import Faults
from judger.rubric.source import read_values

__all__ = [
    "ASPECTS",
    "DIMENSIONS",
    "OVERALL",
    "QUALITY",
    "Answer",
    "BlindPair",
    "Vote",
    "blind_pairs",
    "question",
    "read_votes",
]

OVERALL = "overall"
DIMENSIONS = {
    "information_completeness": "Information completeness: does it cover what the query needs, the facts that matter",
    "content_depth": "Content depth: does it analyse, connect and conclude, rather than list",
    "requirement_fitness": "Requirement fitness: does it do what the query asks, in the form that it asks for",
    "readability": "Readability: is it clear, well ordered and easy to follow",
}
"""The four dimensions, and what each asks."""
QUALITY = {OVERALL: "Answers the query well, all in all"} | {
    name: f"Is good in this respect. {asks}" for name, asks in DIMENSIONS.items()
}
"""What a judge is asked of each report of a tie: fully is good, partially fair, not poor."""
ASPECTS = {
    "depth": "Depth: which analyses, connects and concludes more, rather than lists. More text is no depth",
    "coverage": "Coverage: which covers more of what the query needs, and of the facts that matter",
} | DIMENSIONS
"""What two reports can be compared by, beside all in all."""


class Answer(enum.StrEnum):
    """The five answers, and the tie of a judge of which no more is known."""

    LEFT = "left"
    RIGHT = "right"
    BOTH_GOOD = "both_good"
    BOTH_FAIR = "both_fair"
    BOTH_POOR = "both_poor"
    TIE = "tie"

    @property
    def points(self) -> float:
        """The left one's: 1, 0, or 0.5 where neither is better."""
        return {Answer.LEFT: 1.0, Answer.RIGHT: 0.0}.get(self, 0.5)

    @classmethod
    def of_tie(cls, quality: float | None) -> Answer:
        """Which tie it is, by how good both are in [0, 1]: thirds, as the three labels are 0, 0.5 and 1."""
        if quality is None:
            return cls.TIE
        return cls.BOTH_GOOD if quality >= 2 / 3 else cls.BOTH_POOR if quality <= 1 / 3 else cls.BOTH_FAIR


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """One answer."""

    task: str
    dimension: str
    left: str
    """A system's name, as is `right`."""
    right: str
    answer: Answer
    voter: str = ""
    position_bias: float | None = None
    """Of a judge asked in both orders: P(first is better) in their mean, minus a half."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlindPair:
    """Two reports on one task, the sides drawn by lot: the id says nothing of the systems."""

    id: str
    task: str
    query: str
    left: str
    right: str
    left_report: str
    right_report: str


def question(query: str, aspect: str) -> str:
    """The query of a pairwise prompt that asks about one aspect; the query itself for `overall`."""
    if aspect == OVERALL:
        return query
    return f"{query}\n\n(Compare the two reports in this respect alone. {ASPECTS.get(aspect, aspect)}.)"


def blind_pairs(
    queries: Mapping[str, str], systems: Mapping[str, Mapping[str, str]], *, seed: int = 0
) -> Iterator[BlindPair]:
    """Every two systems on every task that both have a report on, in an order that follows from the ids.

    Ids and sides are made of the texts and the seed: the same reports give the same pairs again, and a vote on a report
    that was changed since belongs to none. Two equal reports on a task are no pair.
    """
    pairs = []
    for task, query in queries.items():
        for a, b in combinations(sorted(name for name, texts in systems.items() if task in texts), 2):
            texts = (systems[a][task], systems[b][task])
            if texts[0] == texts[1]:
                continue
            ends = sorted(zip(texts, (a, b), strict=True))
            digest = hashlib.sha256(repr((seed, task, ends[0][0], ends[1][0])).encode("utf-8", "replace")).digest()
            (left_report, left), (right_report, right) = ends if digest[-1] % 2 else reversed(ends)
            pairs.append(
                BlindPair(
                    id=digest.hex()[:16],
                    task=task,
                    query=query,
                    left=left,
                    right=right,
                    left_report=left_report,
                    right_report=right_report,
                )
            )
    yield from sorted(pairs, key=lambda pair: pair.id)


def read_votes(path: Path, pairs: Sequence[BlindPair], systems: Iterable[str]) -> list[Vote]:
    """The votes of a file: of the voting page (`pair`), or with names (`task`, `left`, `right`).

    Raises InvalidFile with every fault: an answer off the menu, a pair that is none of these reports', a second vote of
    one voter on the same question.
    """
    faults = Faults.of(path, None)
    known, names, tasks = {pair.id: pair for pair in pairs}, set(systems), {pair.task for pair in pairs}
    votes: list[Vote] = []
    seen: dict[tuple[object, ...], int] = {}
    for value, place in read_values(path, faults):
        if not isinstance(value, dict):
            place.fault("must be an object")
            continue
        wrong = len(faults.found)
        texts = {key: value.get(key, "") for key in ("pair", "task", "dimension", "left", "right", "answer", "voter")}
        for key, text in texts.items():
            if not isinstance(text, str):
                place.fault("must be a string", key)
        if len(faults.found) > wrong:
            continue
        if texts["dimension"] not in (OVERALL, *DIMENSIONS):
            place.fault(f"must be one of {', '.join((OVERALL, *DIMENSIONS))}", "dimension")
        if texts["answer"] not in list(Answer):
            place.fault(f"must be one of {', '.join(Answer)}", "answer")
        if texts["pair"]:
            pair = known.get(str(texts["pair"]))
            if pair is None:
                place.fault(
                    "is no pair of these reports: are they the ones that were voted on, and is the seed?", "pair"
                )
                continue
            texts |= {"task": pair.task, "left": pair.left, "right": pair.right}
        else:
            for key, menu in (("task", tasks), ("left", names), ("right", names)):
                if texts[key] not in menu:
                    place.fault(f"{texts[key]!a} is no {'task with two reports' if key == 'task' else 'system'}", key)
            if texts["left"] == texts["right"]:
                place.fault("is the left one, too", "right")
        if len(faults.found) > wrong:
            continue
        sides = tuple(sorted((str(texts["left"]), str(texts["right"]))))
        mark = (texts["voter"], texts["task"], sides, texts["dimension"])
        if mark in seen and texts["voter"]:
            place.fault(f"{texts['voter']!a} has answered this in line {seen[mark]} already", "voter")
            continue
        seen.setdefault(mark, place.line)
        votes.append(
            Vote(
                task=str(texts["task"]),
                dimension=str(texts["dimension"]),
                left=str(texts["left"]),
                right=str(texts["right"]),
                answer=Answer(str(texts["answer"])),
                voter=str(texts["voter"]) or f"{path.name}:{place.line}",
            )
        )
    faults.check()
    return votes


def no_pairs(path: str) -> InvalidFile:
    """The error where no two systems have a report on one task."""
    return InvalidFile([Fault(path, 1, "task", "no two systems have different reports on one task")])
