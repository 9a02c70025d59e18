"""Cases in, token samples out: exactly the prompts that are served, with the answer that the judge should give.

A sample of the verdict tier is a criterion's lone prompt and its label token; one of the explained tier is the lone
prompt that asks for a reason, and reason, quote and label as the served engine reads them. Both end with the model's
end-of-turn token. The prompts are those of `judger.engines.tokens`, which the engines serve, id by id.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from judger.engines.tokens import Prompter, Tree
from judger.prompt import LABELS
from judger.rubric import iter_cases
from judger.types import Case, Criterion, Role
from train.judge.data import Groups, balancing_weights, case_files, digest, split_of
from train.judge.restate import omission

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
    source: str = ""
    negative: bool = False
    shared: int = 0
    """So many of the prompt's first tokens are those of all criteria of the report."""


def read_cases(folder: Path) -> dict[str, list[Case]]:
    """The cases of a folder by file, in order; labels may be missing.

    Raises DataError for a folder without files and judger's InvalidFile with all faults of a file.
    """
    files = case_files(folder).items()
    return {name: [replace(case, source=name) for case in iter_cases(path)] for name, path in files}


def split(sources: Mapping[str, list[Case]], seed: int) -> tuple[list[Case], dict[str, list[Case]]]:
    """Cases to train on, and those held out by source. Neither a report nor a question is ever on both sides.

    Cases with the same report, or the same query, belong to one group, and so do those that a third one ties together.
    """
    groups = Groups()

    def key(case: Case) -> str:
        return f"report {digest(case.report)}"

    for cases in sources.values():
        for case in cases:
            groups.tie(key(case), f"query {digest(case.query)}" if case.query.strip() else None)

    def is_held(case: Case) -> bool:
        return split_of(groups.of(key(case)), seed=seed, dev=HELD_OUT, calibration=0.0) == "dev"

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


def with_flaws(cases: Iterable[Case], share: float, seed: int) -> list[Case]:
    """The cases, where a share of the labelled requirements stands again as the flaw of leaving it out.

    The label is known: the flaw is there where the requirement is not met, in part where it is in part. Human labels
    are mostly of requirements, and a judge that has seen few flaws calls none present, or all.
    """
    rng = random.Random(f"flaws {seed}")
    found = []
    for case in cases:
        made = []
        for criterion in case.criteria:
            label = human_label(criterion)
            text = omission(criterion.text, rng) if label is not None and not criterion.is_negative else None
            if text is not None and rng.random() < share:
                name, opposite = f"{criterion.id}-omitted", LABELS[len(LABELS) - 1 - label]
                flaw = Criterion(id=name, text=text, weight=-1.0, role=Role.NEGATIVE, axis=criterion.axis)
                made.append(replace(flaw, label=opposite))
        found.append(replace(case, criteria=(*case.criteria, *made)))
    return found


def balanced(samples: Sequence[Sample], seed: int, *, source_power: float = 0.5) -> list[Sample]:
    """About as many samples, drawn so that labels come alike often within each source and polarity.

    A source of n samples comes n ** source_power in all: 1 as it is, 0 all alike. One sample comes at most
    `train.judge.data.balancing_weights`' cap times its natural share; each whole part of its weight is a copy.
    """
    rng = random.Random(f"balance {seed}")
    drawn: list[Sample] = []
    for sample, weight in zip(samples, balancing_weights(samples, source_power=source_power), strict=True):
        drawn += [sample] * (int(weight) + (rng.random() < weight % 1))
    return drawn


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
                    yield from self._fitting("verdict", tree, index, answer, label, case)

    def explained(self, cases: Iterable[Case], taught: Mapping[str, Taught]) -> Iterator[Sample]:
        """The explained tier: every criterion that a teacher has written of."""
        for case in cases:
            lessons = {i: taught.get(key_of(case, criterion)) for i, criterion in enumerate(case.criteria)}
            tree = self.prompter.tree(case, explain=True)
            for index, lesson in lessons.items():
                if lesson is not None:
                    answer = self.explanation(lesson)
                    yield from self._fitting("explained", tree, index, answer, lesson.label, case)

    def questions(self, cases: Iterable[Case]) -> Iterator[Sample]:
        """The explained tier without answers, for every labelled criterion: what reinforcement learning asks."""
        for case in cases:
            tree = self.prompter.tree(case, explain=True)
            for index, criterion in enumerate(case.criteria):
                label = human_label(criterion)
                if label is not None:
                    yield from self._fitting("explained", tree, index, (), label, case)

    def explanation(self, lesson: Taught) -> tuple[int, ...]:
        """The answer's ids behind `Reason:`: what the engine writes, then what it reads the label behind."""
        text = f" {lesson.reason}\nQuote: {lesson.quote or 'none'}\n"
        labels = self.prompter.labels
        return (*self.prompter.plain(text), *labels.cue, labels.ids[lesson.label], self.end)

    def _fitting(
        self, tier: Tier, tree: Tree, index: int, answer: tuple[int, ...], label: int, case: Case
    ) -> Iterator[Sample]:
        prompt = tree.lone(index)
        if self.max_tokens and len(prompt) + len(answer) > self.max_tokens:
            self.num_too_long += 1
        else:
            yield Sample(
                tier=tier,
                prompt=prompt,
                answer=answer,
                label=label,
                report=case.report,
                source=case.source,
                negative=case.criteria[index].is_negative,
                shared=len(tree.shared) + len(tree.report),
            )
