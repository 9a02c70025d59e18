"""An episode's state: what its events add up to. A resumed episode is the same fold over the journal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from policy.context import estimate_tokens
from policy.events import Compacted, Event, Finished, Observed, Replied, Started, Status
from policy.model import Message, ToolCall
from policy.sources import Sources

__all__ = ["Episode"]


@dataclass
class Episode:
    """Mutable, and changed by `apply` alone."""

    started: Started | None = None
    finished: Finished | None = None
    messages: list[Message] = field(default_factory=list)
    """The whole history: system, query, then replies and observations. Nothing is ever taken out."""
    events: list[Event] = field(default_factory=list)
    turns: int = 0
    tool_calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    """Spent in model and tools; survives a resume, which wall time does not."""
    todo: str = ""
    sources: Sources = field(default_factory=Sources)
    reply: Replied | None = None
    answered: int = 0
    """Observations since the last reply."""
    turn_starts: list[int] = field(default_factory=list)
    """Where in `messages` each turn's reply stands."""
    keep_from: int = 2
    summary: Message | None = None
    context_tokens: int = 0
    """What the next prompt will have, as far as can be told."""

    @classmethod
    def of(cls, events: Iterable[Event]) -> Episode:
        episode = cls()
        for event in events:
            episode.apply(event)
        return episode

    @property
    def query(self) -> str:
        return self.started.query if self.started else ""

    @property
    def status(self) -> Status | None:
        return self.finished.status if self.finished else None

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    @property
    def cost(self) -> float | None:
        """What the tokens cost, in the currency of the settings' prices; None where they give none."""
        prices = self.started.settings.get("model", {}) if self.started else {}
        given = prices.get("input_price", 0), prices.get("output_price", 0)
        if not any(given):
            return None
        return (self.prompt_tokens * given[0] + self.completion_tokens * given[1]) / 1e6

    def view(self) -> list[Message]:
        """What the model sees now."""
        return self.before(len(self.messages))

    def before(self, keep_from: int) -> list[Message]:
        """What the model has seen of the messages before `keep_from`, as it has seen it."""
        middle = [self.summary] if self.summary is not None else []
        return [*self.messages[:2], *middle, *self.messages[self.keep_from : keep_from]]

    def calls(self) -> list[ToolCall]:
        """The tool calls of the last reply."""
        if self.reply is None:
            return []
        made = self.reply.message.get("tool_calls") or []
        return [ToolCall(call["id"], call["function"]["name"], call["function"]["arguments"]) for call in made]

    def apply(self, event: Event) -> None:
        """Take in what happened."""
        self.events.append(event)
        match event:
            case Started():
                self.started = event
                self._add({"role": "system", "content": event.system})
                self._add({"role": "user", "content": event.query})
            case Replied():
                self.turns = event.turn
                self.turn_starts.append(len(self.messages))
                self.reply, self.answered = event, 0
                self.prompt_tokens += event.prompt_tokens
                self.completion_tokens += event.completion_tokens
                self.seconds += event.seconds
                self._add(event.message)
                if event.prompt_tokens:
                    self.context_tokens = event.prompt_tokens + event.completion_tokens
            case Observed():
                self._add(event.message)
                self.answered += 1
                self.tool_calls += bool(event.name)
                self.seconds += event.seconds
                self.todo = event.todo
                for source in event.sources:
                    self.sources.add(source)
            case Compacted():
                self.keep_from, self.summary = event.keep_from, event.summary
                self.prompt_tokens += event.prompt_tokens
                self.completion_tokens += event.completion_tokens
                self.seconds += event.seconds
                self.context_tokens = sum(estimate_tokens(message) for message in self.view())
            case Finished():
                self.finished = event

    def _add(self, message: Message) -> None:
        self.messages.append(message)
        self.context_tokens += estimate_tokens(message)
