"""Error and reflection: answer, check against the known answer, reflect, try again, at most three times.

Step-DeepResearch, arXiv 2512.20491, section 3. Between two tries a hint names what is wrong, for the model alone; the
trajectory that is kept has no trace of it (`train.synth.hints`). A question that the first try answers teaches nothing
here and is dropped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from policy.model import Completion, Message, Model, Schema
from train.synth import hints, words
from train.synth.brief import Brief, Dropped, Fact
from train.synth.ports import Ports
from train.synth.rows import Rows
from train.synth.seeking import conversation, run_model
from train.synth.solvers import ClueSolver

__all__ = ["TRIES", "Reflection", "Retrying", "kept_questions"]

TRIES = 3
FIRST, NEVER, TRACED = "right at once", "never right", "trace of the hint"


class Retrying:
    """A model whose final answers are checked before they count: a wrong one is hinted at, and it goes on.

    The hint is in the history that the inner model is shown and in no message that leaves this one.
    """

    def __init__(self, inner: Model, names: Sequence[str], tries: int = TRIES) -> None:
        self._inner, self._names, self._tries = inner, names, tries
        self._private: list[tuple[int, Message, Message]] = []
        self.wrong: list[str] = []
        """The answers that were not right, in their order."""

    @property
    def name(self) -> str:
        return self._inner.name

    async def complete(
        self, messages: Sequence[Message], tools: Sequence[Schema], *, max_tokens: int, use_tools: bool = True
    ) -> Completion:
        while True:
            told = [{**one, "role": "user"} if one["role"] == hints.HINT else one for one in self.shown(messages)]
            reply = await self._inner.complete(told, tools, max_tokens=max_tokens, use_tools=use_tools)
            if reply.tool_calls or self.is_right(reply.content) or len(self.wrong) + 1 >= self._tries:
                return reply
            self.wrong.append(reply.content)
            hint = hints.hint(f"Wrong. Expected: {self._names[0]}. Search on, and find out what did not fit.")
            self._private.append((len(messages), reply.message(), hint))

    def is_right(self, report: str) -> bool:
        """Whether the last paragraph names the answer."""
        return bool(words.ends_in(report, self._names))

    def shown(self, messages: Sequence[Message]) -> list[Message]:
        """The history with the wrong answers and the hints where they were given, for the inner model."""
        out: list[Message] = []
        for place, message in enumerate(messages):
            out += [one for at, wrong, told in self._private if at == place for one in (wrong, told)]
            out.append(message)
        return out + [one for at, wrong, told in self._private if at >= len(messages) for one in (wrong, told)]

    async def aclose(self) -> None:
        await self._inner.aclose()


class Reflection:
    """One episode for each question of the subgraphs and the walks that were kept."""

    name = "reflection"
    filters = ("unreadable", FIRST, NEVER, TRACED)

    def __init__(self, ports: Ports, kept: Sequence[Mapping[str, Any]], model: Model | None = None) -> None:
        """`model` answers; without one a solver that begins with one search and then follows the clues."""
        self._ports, self._rows, self._model = ports, {row["id"]: row for row in kept}, model

    def briefs(self, count: int) -> Sequence[Brief]:
        return [_brief(row) for row in list(self._rows.values())[:count]]

    async def make(self, brief: Brief) -> Mapping[str, Any]:
        ports = self._ports
        model = Retrying(self._model or ClueSolver(brief, ports.draw("guess", brief.id)), brief.names)
        record = await run_model(brief.id, brief.asked, model, ports)
        if record["status"] != "done" or not model.is_right(record["report"]):
            raise Dropped(NEVER, f"{brief.asked[:100]!r}: {record['report'][-100:]!r}")
        if not model.wrong:
            raise Dropped(FIRST, brief.asked[:100])
        trace = model.shown(record["messages"])
        kept = hints.without_hints(trace)
        if reason := hints.traces(trace, brief.names):
            raise Dropped(TRACED, reason)
        row = conversation({**record, "messages": [_whole(message) for message in kept]})
        row.pop("record")  # whose messages are not these
        return {**row, "source": brief.source, "tries": len(model.wrong) + 1, "text": _text(kept)}


def _whole(message: Message) -> Message:
    return {"tool_calls": None, "tool_call_id": None, **message}


def _brief(row: Mapping[str, Any]) -> Brief:
    task = row["task"]
    return Brief(
        id=f"reflect-{row['id']}", kind=row["kind"], asked=task["query"], answer=task["answer"],
        names=tuple(task["names"]), source=row["source"], facts=tuple(Fact(*fact) for fact in row["facts"]),
    )  # fmt: skip


def _text(messages: Sequence[Message]) -> str:
    """The episode as plain text, for mid-training without tools."""
    lines = []
    for message in messages[1:]:
        if message["content"]:
            lines.append(words.plain(message["content"]))
        for call in message.get("tool_calls") or ():
            asked = json.loads(call["function"]["arguments"])
            lines.append(f"{call['function']['name']}: {'; '.join(next(iter(asked.values()), []))}")
    return "\n".join(lines)


def kept_questions(rows: Sequence[Rows]) -> list[dict[str, Any]]:
    """The rows of subgraphs and walks."""
    return [row for one in rows if one.name in ("subgraphs", "walks") for row in one]
