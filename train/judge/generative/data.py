"""Cases in, token samples out: exactly the prompts that are served, with the answer that the judge should give.

A sample of the verdict tier is a criterion's lone prompt and its label token; one of the explained tier is the lone
prompt that asks for a reason, and reason, quote and label as the served engine reads them. Both end with the model's
end-of-turn token. The prompts are those of `judger.engines.tokens`, which the engines serve, id by id.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from judger.engines.tokens import Prompter
from judger.prompt import LABELS
from judger.rubric import iter_cases
from judger.types import Case, Criterion
from train.judge.data import case_files, digest, split_of

Tier = Literal["verdict", "explained"]
HELD_OUT = 0.08
"""Share of the reports that is measured on, and not trained on."""


@dataclass(frozen=True, slots=True)
class Taught:
    """What a teacher wrote of one criterion. `label` is an index into `judger.prompt.LABELS`."""

    label: int
    reason: str
    quote: str
    """The report's own words on one line, or empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One prompt and its answer, as token ids, with what a reward needs to know."""

    tier: Tier
    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    label: int
    report: str


def read_cases(folder: Path) -> dict[str, list[Case]]:
    """The cases of a folder by file, in order; labels may be missing.

    Raises DataError for a folder without files and judger's InvalidFile with all faults of a file.
    """
    return {name: list(iter_cases(path)) for name, path in case_files(folder).items()}


def split(sources: Mapping[str, list[Case]], seed: int) -> tuple[list[Case], dict[str, list[Case]]]:
    """Cases to train on, and those held out by source. A report is never on both sides."""

    def is_held(case: Case) -> bool:
        return split_of(digest(case.report), seed=seed, dev=HELD_OUT, calibration=0.0) == "dev"

    kept = [case for cases in sources.values() for case in cases if not is_held(case)]
    held = {name: [case for case in cases if is_held(case)] for name, cases in sources.items()}
    return kept, {name: cases for name, cases in held.items() if cases}


def key_of(case: Case, criterion: Criterion) -> str:
    """What a verdict depends on: a digest of query, report, criterion and polarity, 24 hex digits."""
    parts = [case.query, case.report, criterion.text, criterion.is_negative]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]


def human_label(criterion: Criterion) -> int | None:
    """The label in the file as an index into `LABELS`."""
    return None if criterion.label is None else LABELS.index(criterion.label)


def settle(cases: Iterable[Case], taught: Mapping[str, Taught]) -> list[Case]:
    """The cases with a label for every criterion: a person's, else the teacher's. What has neither is left out."""
    settled = []
    for case in cases:
        criteria = []
        for criterion in case.criteria:
            lesson = taught.get(key_of(case, criterion))
            if criterion.label is None and lesson is not None:
                criterion = replace(criterion, label=LABELS[lesson.label])
            if criterion.label is not None:
                criteria.append(criterion)
        if criteria:
            settled.append(replace(case, criteria=tuple(criteria)))
    return settled


class Sampler:
    """Makes samples for one tokenizer, and counts what is too long to be served."""

    def __init__(self, prompter: Prompter, *, end: int, max_tokens: int = 0) -> None:
        """`end`: the end-of-turn token. `max_tokens`: of prompt and answer (0: no limit); nothing is ever cut."""
        self.prompter = prompter
        self.end = end
        self.max_tokens = max_tokens
        self.num_too_long = 0

    def verdicts(self, cases: Iterable[Case]) -> Iterator[Sample]:
        """The verdict tier: every labelled criterion."""
        for case in cases:
            tree = self.prompter.tree(case)
            for index, criterion in enumerate(case.criteria):
                label = human_label(criterion)
                if label is not None:
                    answer = (self.prompter.labels.ids[label], self.end)
                    yield from self._fitting("verdict", tree.lone(index), answer, label, case.report)

    def explained(self, cases: Iterable[Case], taught: Mapping[str, Taught]) -> Iterator[Sample]:
        """The explained tier: every criterion that a teacher has written of."""
        for case in cases:
            lessons = {i: taught.get(key_of(case, criterion)) for i, criterion in enumerate(case.criteria)}
            tree = self.prompter.tree(case, explain=True)
            for index, lesson in lessons.items():
                if lesson is not None:
                    answer = self.explanation(lesson)
                    yield from self._fitting("explained", tree.lone(index), answer, lesson.label, case.report)

    def questions(self, cases: Iterable[Case]) -> Iterator[Sample]:
        """The explained tier without answers, for every labelled criterion: what reinforcement learning asks."""
        for case in cases:
            tree = self.prompter.tree(case, explain=True)
            for index, criterion in enumerate(case.criteria):
                label = human_label(criterion)
                if label is not None:
                    yield from self._fitting("explained", tree.lone(index), (), label, case.report)

    def explanation(self, lesson: Taught) -> tuple[int, ...]:
        """The answer's ids behind `Reason:`: what the engine writes, then what it reads the label behind."""
        text = f" {lesson.reason}\nQuote: {lesson.quote or 'none'}\n"
        labels = self.prompter.labels
        return (*self.prompter.plain(text), *labels.cue, labels.ids[lesson.label], self.end)

    def _fitting(
        self, tier: Tier, prompt: tuple[int, ...], answer: tuple[int, ...], label: int, report: str
    ) -> Iterator[Sample]:
        if self.max_tokens and len(prompt) + len(answer) > self.max_tokens:
            self.num_too_long += 1
        else:
            yield Sample(tier=tier, prompt=prompt, answer=answer, label=label, report=report)
