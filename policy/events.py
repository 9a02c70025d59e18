"""What happens in an episode, one value an event. The loop makes them, `Episode` folds them, and the journal, the
record and the live view are all made from them: there is no second account of an episode."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from policy.model import Message, Schema
from policy.sources import Source

__all__ = ["Compacted", "Event", "Finished", "Observed", "Replied", "Started", "Status", "from_dict", "to_dict"]

Status = Literal["done", "forced", "failed"]
"""Finished by itself; made to write its report because a budget was used up; ended without a report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The episode begins, with the first two messages."""

    id: str
    query: str
    system: str
    model: str
    tools: list[Schema]
    settings: dict[str, Any] = field(default_factory=dict)
    task: str = ""
    time: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Replied:
    """The model's reply of one turn."""

    turn: int
    message: Message
    malformed: list[str] = field(default_factory=list)
    finish: str = "stop"
    final: str = ""
    """Which budget made this the last turn; empty where none did."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    token_ids: list[int] | None = None
    logprobs: list[float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What came back: a tool's result, or (with an empty `name`) a note of the agent itself.

    `footer` is the end of the message's content: the todo list and the budget, which the agent adds once a turn.
    """

    turn: int
    message: Message
    name: str = ""
    is_error: bool = False
    seconds: float = 0.0
    footer: str = ""
    stored: str = ""
    """The workspace file that holds the whole text, where the message holds a summary."""
    todo: str = ""
    sources: list[Source] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compacted:
    """From here on the model sees `summary` in place of the messages before `keep_from`."""

    turn: int
    keep_from: int
    summary: Message
    written: str = ""
    """What the model wrote for it; empty where it is made of extracts alone."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The end."""

    status: Status
    reason: str = ""
    report: str = ""
    seconds: float = 0.0


Event = Started | Replied | Observed | Compacted | Finished

_KINDS: dict[str, type[Any]] = {
    "started": Started,
    "replied": Replied,
    "observed": Observed,
    "compacted": Compacted,
    "finished": Finished,
}


def to_dict(event: Event) -> dict[str, Any]:
    """The event as JSON types, its kind under `event`."""
    fields = {name: getattr(event, name) for name in event.__slots__}
    if isinstance(event, Observed):
        fields["sources"] = [asdict(source) for source in event.sources]
    return {"event": type(event).__name__.lower(), **fields}


def from_dict(data: Mapping[str, Any]) -> Event:
    """The event that `to_dict` wrote."""
    fields = {key: value for key, value in data.items() if key != "event"}
    if data["event"] == "observed":
        fields["sources"] = [Source(**source) for source in fields.get("sources", ())]
    event: Event = _KINDS[data["event"]](**fields)
    return event
