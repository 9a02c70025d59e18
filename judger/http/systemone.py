"""System One, POST /v1/systemone, as Jev, vLLM and their clients speak it. Pure.

state         a text is the report; an object or a list is one as JSON, indented by two
instructions  the query (vLLM's field)
noul          P(fully satisfied); criteria {true, false} describe the two sides
score         of three levels: the expected one
unscored      an answer without `noul` or `score`, and with `unscored` {reason, detail}
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from judger.errors import InvalidRequest
from judger.http.questions import (
    Model,
    Question,
    as_text,
    at_most,
    case_of,
    checked,
    criterion_text,
    expected_level,
    not_judged,
    three_levels,
    why_unscored,
)
from judger.types import LIMITS, Case, Judgement, Score

__all__ = ["SystemOneRequest", "read_state", "write_answers"]

Structured = str | dict[str, Any] | list[Any]


class QuestionSpec(Model):
    """One question; what `criteria` are depends on the type."""

    type: Literal["noul", "choice", "score"]
    instructions: Structured = ""
    criteria: dict[str, Any] | list[Any] | None = None


class SystemOneRequest(Model):
    """The body. `model` pins the judge where it is a judge_id, and is not read otherwise.

    `seed`, `priority`, `cache_salt` and `request_id` are vLLM's: taken, as they change no answer here, and not read.
    """

    state: Structured
    questions: Annotated[dict[str, QuestionSpec], at_most(LIMITS.criteria)] = Field(min_length=1)
    model: str | None = None
    instructions: str | None = None
    seed: int | None = None
    priority: int = 0
    cache_salt: str | None = None
    request_id: str | None = None


def read_state(values: object) -> tuple[Case, list[Question], str | None]:
    """(the case, its questions, the model's name). Raises InvalidRequest, TooLarge, Unsupported."""
    request: SystemOneRequest = checked(SystemOneRequest, values)
    questions = [_question(name, spec) for name, spec in request.questions.items()]
    query = request.instructions or ""
    case = case_of(as_text(request.state), query, questions, state_field="state", query_field="instructions")
    return case, questions, request.model


def _question(name: str, spec: QuestionSpec) -> Question:
    field = f"questions.{name[:60]}"
    text = as_text(spec.instructions)
    match spec.type:
        case "choice":
            raise not_judged(field, "choice")
        case "noul":
            sides = spec.criteria or {}
            if not isinstance(sides, dict):
                raise InvalidRequest(f"{field}.criteria", "must be an object with true and false")
            for side in sides.keys() - {"true", "false"}:
                raise InvalidRequest(f"{field}.criteria.{side[:60]}", "is neither true nor false")
            described = [
                (side.capitalize(), None if sides.get(side) is None else as_text(sides[side]))
                for side in ("true", "false")
            ]
            return Question(name, field, criterion_text(text, described))
        case "score":
            if not isinstance(spec.criteria, list):
                raise InvalidRequest(f"{field}.criteria", "must be a list of levels, lowest first")
            levels = tuple(as_text(level) for level in spec.criteria)
            return Question(name, field, three_levels(field, [(level, None) for level in levels], text), levels)


def write_answers(judgement: Judgement, questions: Sequence[Question]) -> dict[str, Any]:
    """The answer under the questions' own ids; the model is the judge."""
    answers: dict[str, Any] = {}
    for question, verdict in zip(questions, judgement.verdicts, strict=True):
        score = verdict.result
        answer: dict[str, Any] = {"type": "score" if question.levels else "noul"}
        if not isinstance(score, Score):
            answer["unscored"] = why_unscored(verdict)
        elif question.levels:
            level, probabilities = expected_level(score)
            answer |= {
                "score": level,
                "confidence": max(probabilities),
                "legend": {str(i): label for i, label in enumerate(question.levels)},
                "probabilities": {str(i): p for i, p in enumerate(probabilities)},
            }
        else:
            answer["noul"] = score.p_full
        answers[question.name] = answer
    usage = {"input_tokens": judgement.usage.prompt_tokens, "output_tokens": 0}
    return {"model": judgement.judge_id, "answers": answers, "usage": usage}
