"""OpenAI's Decisions API, POST /v1/decisions, as `client.decisions.create` of the `openai` package speaks it. Pure.

input       a text is the report; of messages, a single user message is it, several are written `role: text`,
            calls of tools and their outputs as JSON; system and developer messages are the query
predicate   P(fully satisfied)
score       of three levels: the expected one
refusal     an unscored criterion, with `reason` and `detail`
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from judger.errors import Unsupported
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

__all__ = ["DecisionRequest", "read_decision", "write_decision"]


MOST_PARTS = 4096
"""Turns of an input, and parts of a turn: their texts are one report of 2 MiB."""


class TextPart(Model):
    """A text."""

    type: Literal["input_text", "output_text", "text"]
    text: str
    prompt_cache_breakpoint: dict[str, Any] | None = None


class JsonPart(Model):
    """JSON, which becomes a text."""

    type: Literal["input_json"]
    data: dict[str, Any] | list[Any]


class ImagePart(Model):
    """An image; known so that it can be refused by name."""

    type: Literal["input_image"]
    image_url: str
    detail: str | None = None
    prompt_cache_breakpoint: dict[str, Any] | None = None


class RefusalPart(Model):
    """What an assistant refused."""

    type: Literal["refusal"]
    refusal: str


Part = Annotated[TextPart | JsonPart | ImagePart | RefusalPart, Field(discriminator="type")]
Content = str | Annotated[list[Part], at_most(MOST_PARTS)]


class Message(Model):
    """A turn."""

    role: Literal["user", "developer", "system", "assistant"]
    content: Content
    type: Literal["message"] = "message"
    phase: str | None = None


class ToolItem(Model):
    """A call of a tool or its output: evidence."""

    type: Literal["function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output"]
    call_id: str
    id: str | None = None
    status: str | None = None
    name: str | None = None
    namespace: str | None = None
    arguments: str | None = None
    input: str | None = None
    output: Content | None = None


class Predicate(Model):
    """A yes or no."""

    type: Literal["predicate"]
    instructions: Content
    name: str | None = None


class Level(Model):
    """Of a score."""

    label: str
    description: str | None = None


class ScoreQuestion(Model):
    """Ordered levels, lowest first."""

    type: Literal["score"]
    instructions: Content
    levels: list[Level] = Field(min_length=2, max_length=10)
    name: str | None = None


class Choice(Model):
    """An option."""

    value: str | bool
    description: str | None = None


class ChoiceQuestion(Model):
    """One of several options; known so that it can be refused by name."""

    type: Literal["choice"]
    instructions: Content
    choices: Annotated[list[Choice], at_most(LIMITS.criteria)]
    name: str | None = None


def _kind(item: object) -> str:
    kind = item.get("type", "message") if isinstance(item, dict) else "message"
    return "tool" if isinstance(kind, str) and "_call" in kind else "message"


Item = Annotated[Annotated[Message, Tag("message")] | Annotated[ToolItem, Tag("tool")], Discriminator(_kind)]


class DecisionRequest(Model):
    """The body. `model` pins the judge where it is a judge_id, and is not read otherwise."""

    input: str | Annotated[list[Item], at_most(MOST_PARTS)]
    questions: Annotated[
        list[Annotated[Predicate | ScoreQuestion | ChoiceQuestion, Field(discriminator="type")]],
        at_most(LIMITS.criteria),
    ]
    model: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: dict[str, Any] | None = None


def read_decision(values: object) -> tuple[Case, list[Question], str | None]:
    """(the case, its questions, the model's name). Raises InvalidRequest, TooLarge, Unsupported."""
    request: DecisionRequest = checked(DecisionRequest, values)
    questions = [_question(f"questions[{i}]", question) for i, question in enumerate(request.questions)]
    state, query = _state(request.input)
    case = case_of(state, query, questions, state_field="input", query_field="input")
    return case, questions, request.model


def _question(field: str, question: Predicate | ScoreQuestion | ChoiceQuestion) -> Question:
    name = question.name or ""
    if isinstance(question, ChoiceQuestion):
        raise not_judged(field, "choice")
    text = _text(question.instructions, f"{field}.instructions")
    if isinstance(question, Predicate):
        return Question(name, field, criterion_text(text))
    levels = [(level.label, level.description) for level in question.levels]
    return Question(name, field, three_levels(field, levels, text), tuple(level.label for level in question.levels))


def _state(given: str | Sequence[Message | ToolItem]) -> tuple[str, str]:
    """(the report, the query)."""
    if isinstance(given, str):
        return given, ""
    said: list[tuple[str, str]] = []
    asked: list[str] = []
    for i, item in enumerate(given):
        if isinstance(item, ToolItem):
            said.append(("tool", as_text(_evidence(item, f"input[{i}]"))))
            continue
        text = _text(item.content, f"input[{i}].content")
        if item.role in ("system", "developer"):
            asked.append(text)
        else:
            said.append((item.role, text))
    report = said[0][1] if len(said) == 1 else "\n\n".join(f"{role}: {text}" for role, text in said)
    return report, "\n\n".join(asked)


def _evidence(item: ToolItem, field: str) -> dict[str, Any]:
    given = {"name": item.name, "arguments": item.arguments, "input": item.input}
    if item.output is not None:
        given["output"] = _text(item.output, f"{field}.output")
    return {"type": item.type} | {key: value for key, value in given.items() if value is not None}


def _text(content: Content, field: str) -> str:
    if isinstance(content, str):
        return content
    texts = []
    for i, part in enumerate(content):
        match part:
            case ImagePart():
                raise Unsupported(f"{field}[{i}]: only texts are judged, no images")
            case JsonPart():
                texts.append(as_text(part.data))
            case RefusalPart():
                texts.append(part.refusal)
            case TextPart():
                texts.append(part.text)
    return "\n\n".join(texts)


def write_decision(judgement: Judgement, questions: Sequence[Question]) -> dict[str, Any]:
    """The answer, as the SDK's `Decision` has it; the model is the judge."""
    answers: list[dict[str, Any]] = []
    for question, verdict in zip(questions, judgement.verdicts, strict=True):
        name = question.name or None
        score = verdict.result
        if not isinstance(score, Score):
            answers.append({"type": "refusal", "name": name} | (why_unscored(verdict) or {}))
        elif question.levels:
            level, probabilities = expected_level(score)
            shares = [
                {"value": i, "label": label, "probability": p}
                for i, (label, p) in enumerate(zip(question.levels, probabilities, strict=True))
            ]
            answers.append(
                {
                    "type": "score",
                    "name": name,
                    "score": level,
                    "confidence": max(probabilities),
                    "probabilities": shares,
                }
            )
        else:
            answers.append({"type": "predicate", "name": name, "probability": score.p_full})
    spent = judgement.usage
    usage = {
        "input_tokens": spent.prompt_tokens,
        "input_tokens_details": {"cached_tokens": spent.shared_tokens, "cache_write_tokens": 0},
        "output_tokens": 0,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": spent.prompt_tokens,
    }
    return {"model": judgement.judge_id, "answers": answers, "usage": usage}
