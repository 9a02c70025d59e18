"""What both decision protocols have in common: a state with questions is a report with criteria. Pure.

A yes-or-no question (predicate, noul) is a criterion, its instructions are the criterion's text; what it says of "true"
and "false" follows in lines of their own. A score of three levels is one, too: its levels, lowest first, are not,
partially and fully satisfied. Nothing else can be asked of a judge of checklists.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from judger.errors import InvalidRequest, TooLarge, Unsupported
from judger.types import LIMITS, Case, Criterion, Score, Unscored, Verdict
from judger.validate import count_fault, text_fault

__all__ = [
    "Model",
    "Question",
    "as_text",
    "at_most",
    "case_of",
    "checked",
    "criterion_text",
    "expected_level",
    "not_judged",
    "pin_of",
    "three_levels",
    "why_unscored",
]

MOST_FAULTS = 100
"""Of those, the one that says most is told."""
JUDGE_ID = re.compile(r"[a-z]+-[0-9a-f]{24}")


class Model(BaseModel):
    """A part of a request: unknown fields are refused, nothing is coerced."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _one_strange_field(cls, values: Any) -> Any:
        """Of a million fields that aren't there the first is refused: an error for each takes minutes."""
        if not isinstance(values, dict) or len(values) <= len(cls.model_fields):
            return values
        strange = (key for key in values if key not in cls.model_fields)
        kept = {key: values[key] for key in cls.model_fields if key in values}
        return kept | {key: values[key] for key in islice(strange, 1)}


def at_most(number: int) -> BeforeValidator:
    """Refuses a longer list or object before its members are looked at."""

    def check(values: Any) -> Any:
        if isinstance(values, list | dict) and (fault := values and count_fault(len(values), number)):
            raise PydanticCustomError("too_many", fault)
        return values

    return BeforeValidator(check)


@dataclass(frozen=True, slots=True)
class Question:
    """One that can be judged."""

    name: str
    """Its name or id, for the answer."""
    field: str
    """Where it stands, for errors."""
    text: str
    levels: tuple[str, ...] = ()
    """The labels of a score; empty for a yes or no."""


def checked(kind: type[BaseModel], values: object) -> Any:
    """The request as a model that takes no other fields. Raises InvalidRequest with the field."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        found = islice(error.errors(include_url=False, include_context=False, include_input=False), MOST_FAULTS)
        faults = [(_path(values, fault), fault) for fault in found]
        path, fault = max(faults, key=lambda one: len(one[0]))  # of a union's members the one that fits best says most
        raise InvalidRequest(path or "body", _reason(fault)) from None


def _path(values: object, fault: Any) -> str:
    """Where it stands in what was given: pydantic's place has names of types in between."""
    path, place = "", fault["loc"]
    for key in place:
        if isinstance(key, int) and isinstance(values, list) and key < len(values):
            path, values = f"{path}[{key}]", values[key]
        elif isinstance(values, dict) and key in values:
            path, values = _member(path, key), values[key]
    return _member(path, place[-1]) if fault["type"] == "missing" else path


def _member(path: str, key: str) -> str:
    return f"{path}.{key[:60]}" if path else key[:60]


def _reason(fault: Any) -> str:
    match fault["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return "is no field of this request"
        case _:
            return f"{fault['msg'][:1].lower()}{fault['msg'][1:200]}"


def case_of(state: str, query: str, questions: Sequence[Question], *, state_field: str, query_field: str) -> Case:
    """The case to judge, criteria q1, q2, ... in order. Raises InvalidRequest; TooLarge for the state."""
    if fault := count_fault(len(questions), LIMITS.criteria):
        raise InvalidRequest("questions", fault)
    if fault := text_fault(state, LIMITS.report_bytes):
        if not text_fault(state, 2**62):
            raise TooLarge(f"{state_field}: {fault}")
        raise InvalidRequest(state_field, fault)
    if fault := text_fault(query, LIMITS.query_bytes, may_be_blank=True):
        raise InvalidRequest(query_field, fault)
    for question in questions:
        if fault := text_fault(question.text, LIMITS.criterion_bytes):
            raise InvalidRequest(f"{question.field}.instructions", fault)
    criteria = tuple(Criterion(id=f"q{i}", text=question.text) for i, question in enumerate(questions, 1))
    return Case(id="", query=query, report=state, criteria=criteria)


def as_text(value: object) -> str:
    """A text as it is, anything else as JSON, indented by two, in its own order."""
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)


def criterion_text(instructions: str, lines: Sequence[tuple[str, str | None]] = ()) -> str:
    """The criterion: the instructions, then a line `Name: text` for each side or level that is described."""
    described = [f"{name}: {text}" for name, text in lines if text]
    return "\n".join([instructions, *described]) if instructions.strip() else instructions


def three_levels(field: str, levels: Sequence[tuple[str, str | None]], instructions: str) -> str:
    """The criterion of a score. `levels`: (label, description), lowest first. Raises Unsupported unless three."""
    if len(levels) != 3:
        raise Unsupported(f"{field}: a judge of checklists has three levels, not {len(levels)}")
    names = ("Not satisfied", "Partially satisfied", "Fully satisfied")
    lines = [
        (name, label if not text or text == label else f"{label}: {text}")
        for name, (label, text) in zip(names, levels, strict=True)
    ]
    return criterion_text(instructions, lines)


def not_judged(field: str, kind: str) -> Unsupported:
    """The error for a question of another kind."""
    return Unsupported(f"{field}: a judge of checklists answers no {kind}; ask one yes-or-no question a choice")


def expected_level(score: Score) -> tuple[float, list[float]]:
    """(the expected level, 0 to 2; the probabilities of the three)."""
    return score.p_partial + 2 * score.p_full, [score.p_not, score.p_partial, score.p_full]


def pin_of(model: str | None) -> str:
    """`model` as a pin where it is a judge_id; any other name is whatever the caller's setup calls us."""
    return model if model is not None and JUDGE_ID.fullmatch(model) else ""


def why_unscored(verdict: Verdict) -> dict[str, str] | None:
    """The reason of a missing verdict."""
    result = verdict.result
    return {"reason": result.reason.value, "detail": result.detail} if isinstance(result, Unscored) else None
