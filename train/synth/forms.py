"""What a writer is asked for, as types: a reply that is not of its type is asked for again."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "Asked",
    "Claims",
    "Finding",
    "Plan",
    "Queries",
    "Reading",
    "Report",
    "Summary",
    "Triples",
    "Verdict",
]

Verdict = Literal["support", "refute", "doubtful"]


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", str_strip_whitespace=True)


class Asked(_Form):
    """A question; its answer is the brief's."""

    question: str = Field(min_length=10)


class Triple(_Form):
    """One thing that a passage states."""

    subject: str = Field(min_length=1)
    relation: str = Field(min_length=1)
    object: str = Field(min_length=1)


class Triples(_Form):
    """What a passage states, as triples."""

    triples: list[Triple]


class Plan(_Form):
    """A task, and the steps of a plan that leads to its report."""

    task: str = Field(min_length=10)
    steps: list[str] = Field(min_length=2, max_length=12)


class Claims(_Form):
    """Statements that can be checked, one fact each."""

    claims: list[str] = Field(min_length=1)


class Queries(_Form):
    """What to search for."""

    queries: list[str] = Field(min_length=1)


class Finding(_Form):
    """What the evidence says of a claim."""

    verdict: Verdict
    reason: str = Field(min_length=1)
    citations: list[str] = []


class Pair(_Form):
    """A question and its answer, a word or a phrase of the text."""

    question: str = Field(min_length=5)
    answer: str = Field(min_length=1)


class Reading(_Form):
    """Active reading: questions that a text answers, and the text in other words."""

    questions: list[Pair] = Field(min_length=1)
    rewrite: str = Field(min_length=1)


class Summary(_Form):
    """What a text says, in fewer words."""

    summary: str = Field(min_length=1)


class Report(_Form):
    """A report in another form."""

    report: str = Field(min_length=1)
