"""What is found in a rubric: a code, how much it matters, where, and what to do."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Severity(enum.StrEnum):
    """A warning bears on the reward; a note is a suggestion, or a rule that errs too often to warn."""

    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Code:
    """What a code advises against, by which of the five principles, and how severely."""

    severity: Severity
    principle: str
    about: str


W, N = Severity.WARNING, Severity.NOTE

CODES = {
    "not-atomic": Code(W, "atomic", "several requirements in one criterion: no verdict fits where one is met alone"),
    "too-long": Code(N, "atomic", "a long text hides what is asked"),
    "outside-the-report": Code(W, "verifiable", "the report's text alone can't settle it"),
    "not-judgeable": Code(N, "verifiable", "the chosen engine is near chance on criteria of this kind"),
    "vague": Code(W, "unambiguous", "a matter of degree or taste, with no measure given"),
    "closed-examples": Code(W, "unambiguous", "a list that may be examples or demands"),
    "overlap": Code(N, "independent", "two criteria for one thing: it counts twice"),
    "unrelated": Code(W, "aligned", "neither the query nor the other criteria are about this"),
    "flaw-with-positive-weight": Code(W, "aligned", "the text describes a flaw, and the weight rewards it"),
    "negation-with-positive-weight": Code(
        W, "aligned", "the absence of something earns the weight, so an empty report earns it"
    ),
    "requirement-with-negative-weight": Code(W, "aligned", "the text describes a merit, and the weight punishes it"),
    "weight-out-of-proportion": Code(W, "aligned", "one criterion decides the reward"),
    "no-positive-weight": Code(W, "aligned", "nothing can be earned"),
    "no-flaws": Code(N, "aligned", "no criterion is a flaw: nothing that a report does wrong costs it anything"),
    "not-english": Code(N, "unambiguous", "the rules on wording read English only"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. index: of the criterion, None for the whole rubric; span: characters of its text, or None."""

    code: str
    index: int | None
    message: str
    span: tuple[int, int] | None = None

    @property
    def severity(self) -> Severity:
        return CODES[self.code].severity
