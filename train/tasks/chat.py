"""Any chat model as the writer: three prompts, replies read as JSON and checked, one second chance each."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from judger.types import Criterion, Role
from policy.errors import ModelAway, ModelError
from policy.model import Message, Model
from train.tasks.counted import Counted
from train.tasks.draft import Assessment, Card, Draft, Item
from train.tasks.templates import TemplateWriter
from train.tasks.writer import Unwritten

__all__ = ["ChatWriter", "Roles", "Rubric", "ask", "fill"]

_MOST_TOKENS = 4096
_Reply = TypeVar("_Reply", bound=BaseModel)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, str_strip_whitespace=True)


class _Criterion(_Strict):
    text: str = Field(min_length=3)
    weight: float = Field(ge=-5, le=5)
    role: Literal["explicit", "implicit", "negative"]
    axis: str = ""


class Rubric(_Strict):
    """The hidden summary of the ideal report, and what a report is checked for."""

    summary: str = Field(min_length=1)
    criteria: list[_Criterion] = Field(min_length=1)

    def draft(self) -> Draft:
        """As the synthesis takes it. Raises Unwritten where a weight's sign is not its role's."""
        items = []
        for number, given in enumerate(self.criteria, 1):
            if given.weight == 0 or (given.weight < 0) != (given.role == "negative"):
                raise Unwritten(f"a {given.role} criterion has the weight {given.weight:g}")
            criterion = Criterion(
                id=f"c{number}", text=given.text, weight=given.weight, role=Role(given.role), axis=given.axis
            )
            items.append(Item(criterion, aspect=""))
        return Draft(self.summary, tuple(items))


class _Query(_Strict):
    query: str = Field(min_length=1)


class _Role(_Strict):
    id: str
    role: Literal["explicit", "implicit", "negative"]
    reason: str = Field(min_length=1)


class Roles(_Strict):
    """What each criterion is for a question."""

    roles: list[_Role]

    def assessments(self, draft: Draft) -> list[Assessment]:
        """Those of the draft's criteria, in their order. Raises Unwritten where one is missing or is no criterion."""
        by_id = {role.id: Assessment(Role(role.role), role.reason) for role in self.roles}
        wanted = [criterion.id for criterion in draft.criteria]
        if sorted(role.id for role in self.roles) != sorted(wanted):
            raise Unwritten(f"roles for {sorted(by_id)}, not for {wanted}")
        return [by_id[name] for name in wanted]


class ChatWriter:
    """Writes with a model behind the agent's own interface, such as `policy.models.openai`'s."""

    def __init__(self, model: Model) -> None:
        self._model = Counted(model)

    @property
    def name(self) -> str:
        return self._model.name

    async def draft(self, card: Card) -> Draft:
        example = await TemplateWriter().draft(card)
        shown = {"summary": "...", "criteria": [_shown(item.criterion) for item in example.items[-2:]]}
        asked = "; ".join(subject.statement(name) for subject in card.subjects for name in card.asked)
        prompt = _fill("draft", asked=asked, facts=_facts(card), example=json.dumps(shown, ensure_ascii=False))
        return (await self._ask(prompt, Rubric)).draft()

    async def query(self, card: Card, draft: Draft) -> str:
        subject = " and ".join(entity.called for entity in card.subjects)
        rubric = "\n".join(json.dumps(_shown(criterion), ensure_ascii=False) for criterion in draft.criteria)
        return (await self._ask(_fill("query", subject=subject, rubric=rubric), _Query)).query.strip()

    async def reassess(self, query: str, card: Card, draft: Draft) -> Sequence[Assessment]:
        rubric = "\n".join(json.dumps({"id": c.id, "text": c.text}, ensure_ascii=False) for c in draft.criteria)
        return (await self._ask(_fill("roles", query=query, rubric=rubric), Roles)).assessments(draft)

    async def _ask(self, prompt: str, kind: type[_Reply]) -> _Reply:
        """The reply as JSON of that kind. Raises Unwritten after a second try, or where the model gives no reply to
        this prompt; ModelAway where it would give none to any."""
        try:
            return await ask(self._model, prompt, kind)
        except ModelAway:
            raise
        except ModelError as error:
            raise Unwritten(str(error)) from error

    async def aclose(self) -> None:
        """Close the model's connections."""
        await self._model.aclose()


async def ask(
    model: Model, prompt: str, kind: type[_Reply], *, tries: int = 2, max_tokens: int = _MOST_TOKENS
) -> _Reply:
    """The model's reply as JSON of that kind. What can't be read is said to it and asked for again.

    Raises Unwritten after so many tries, and what the model raises.
    """
    messages: list[Message] = [{"role": "user", "content": prompt}]
    fault = ""
    for _ in range(tries):
        reply = await model.complete(messages, (), max_tokens=max_tokens)
        try:
            return kind.model_validate_json(_object(reply.content))
        except ValidationError as error:
            fault = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'reply'}: {e['msg']}" for e in error.errors())
        again = f"That can't be read ({fault}). Send the whole JSON object again."
        messages += [reply.message(), {"role": "user", "content": again}]
    raise Unwritten(fault)


def fill(text: str, values: Mapping[str, str]) -> str:
    """A prompt with its fields filled in one pass, so that no value can hold a field."""
    return re.sub(r"\{(\w+)\}", lambda field: values[field.group(1)], text).strip()


def _fill(name: str, **values: str) -> str:
    return fill(files("train.tasks").joinpath(f"prompts/{name}.txt").read_text(encoding="utf-8"), values)


def _facts(card: Card) -> str:
    lines = []
    for subject in card.subjects:
        lines += [f"- {subject.statement(name)}" for name in subject.facts]
        if subject.contested:
            wrong = subject.statement(subject.contested, value=subject.false_value)
            lines.append(f"- A blog, which is wrong, says: {wrong}")
    if card.rival is not None:
        shared = [name for name in card.asked if name in card.rival.facts]  # in a small world it may know none of them
        other = f": {card.rival.statement(shared[0])}" if shared else ""
        lines.append(f"- Easily confused with {card.rival.called}{other}")
    return "\n".join(lines)


def _shown(criterion: Criterion) -> dict[str, object]:
    return {
        "text": criterion.text,
        "weight": criterion.weight,
        "role": criterion.role.value,
        "axis": criterion.axis,
    }


def _object(text: str) -> str:
    """The JSON object in a reply, which models like to put between fences or after a thought."""
    start, end = text.find("{"), text.rfind("}")
    return text[start : end + 1] if 0 <= start < end else text
