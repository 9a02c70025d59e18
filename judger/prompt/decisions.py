"""The prompt for endpoints that are asked typed questions about a state, and write their own prompt around them.

The state is what all questions of a report share: system text, query, fenced report, as in `judger.prompt.tree`. A
criterion is a question with three levels, worded for its sign; where there are only yes and no, two questions.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from judger.prompt.fence import FenceKey, break_marks
from judger.prompt.tree import fill, prompt_text, template
from judger.types import Case, Criterion

__all__ = ["DecisionText", "Statement", "decision_digest", "decision_text", "statement"]

FILES = ("system", "query", "report", "decision_requirement", "decision_flaw", "levels_requirement", "levels_flaw")


@dataclass(frozen=True, slots=True)
class DecisionText:
    """What every question of a case is about."""

    system: str
    state: str
    """Query and fenced report."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One criterion as a question."""

    instructions: str
    levels: tuple[str, str, str]
    """What not, partially and fully satisfied mean."""

    @property
    def fully(self) -> tuple[str, str]:
        """(true, false) of the question whether it is fully satisfied."""
        low, middle, high = self.levels
        return high, f"{middle} Or: {low}"

    @property
    def at_least_partially(self) -> tuple[str, str]:
        """(true, false) of the question whether it is satisfied at least partially."""
        low, middle, high = self.levels
        return f"{middle} Or: {high}", low


def decision_text(case: Case, *, fence: FenceKey) -> DecisionText:
    """The state of a case. Marks of chat templates are broken: the tokenizer is out of our hands."""
    text = prompt_text(case, fence=fence)
    return DecisionText(text.system, break_marks(text.query + text.report).rstrip("\n"))


def statement(criterion: Criterion) -> Statement:
    """The question that a criterion is."""
    kind = "flaw" if criterion.is_negative else "requirement"
    low, middle, high = template(f"levels_{kind}").splitlines()
    return Statement(break_marks(fill(f"decision_{kind}", criterion=criterion.text.strip())), (low, middle, high))


def decision_digest(*extra: str) -> str:
    """Digest of these templates and of whatever else shapes the questions: 16 hex digits."""
    hasher = hashlib.sha256()
    for part in (*map(template, FILES), *extra):
        hasher.update(len(part).to_bytes(8, "big"))
        hasher.update(part.encode())
    return hasher.hexdigest()[:16]
