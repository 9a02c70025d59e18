"""A rollout server as the agent's chat model, token-exact: what is trained is what was sampled.

    ids  = the first prompt, rendered once
    ids += what the server sampled                          mask 1
    ids += the suffix that the new messages add             mask 0

A history is never tokenised again while it only grows. A compaction changes it, so there a new row begins. The suffixes
are verl's own (`verl.utils.tokenizer.continuous_token`), which knows the boundaries of each model family.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from policy.errors import ContextFull, ModelError
from policy.model import Completion, Message, Schema
from policy.models import hermes
from policy.rendering import rendered

__all__ = ["Builder", "Row", "Server", "ServerModel"]


class Server(Protocol):
    """What samples: verl's `LLMServerClient`. It returns a `TokenOutput`."""

    async def generate(self, request_id: str, *, prompt_ids: list[int], sampling_params: dict[str, Any]) -> Any: ...


class Builder(Protocol):
    """What tokenises: verl's `ContinuousTokenBuilder`."""

    tokenizer: Any

    def build_initial_tokens(self, messages: list[Message], *, tools: Any = None) -> list[int]: ...

    def merge_context_tokens(
        self, previous_messages: list[Message], updated_messages: list[Message], runtime_token_ids: list[int], **_: Any
    ) -> Any: ...


@dataclass(slots=True)
class Row:
    """One row of verl's batch: `start` tokens of prompt, then the response with its mask and log-probabilities."""

    ids: list[int]
    start: int
    mask: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    """What `ids` stand for, without the reply that ends them."""

    @property
    def prompt(self) -> list[int]:
        return self.ids[: self.start]

    @property
    def response(self) -> list[int]:
        return self.ids[self.start :]

    def trimmed(self) -> Row:
        """The row up to its last sampled token: verl puts the reward on the last one, and where that is masked the
        reward is lost. What a tool said after it may be longer than a row has room for, too."""
        end = len(self.mask)
        while end and not self.mask[end - 1]:
            end -= 1
        ids = self.ids[: self.start + end]
        return Row(ids, self.start, self.mask[:end], self.logprobs[:end], self.messages)

    def add(self, ids: Sequence[int], *, sampled: bool, logprobs: Sequence[float] | None = None) -> None:
        """Append tokens. Those that were not sampled have mask 0 and log-probability 0."""
        self.ids.extend(ids)
        self.mask.extend([int(sampled)] * len(ids))
        self.logprobs.extend([0.0] * len(ids) if logprobs is None else logprobs)


class ServerModel:
    """A `policy.model.Model` for one episode. `rows` is what to train on."""

    name = "rollout server"

    def __init__(
        self, server: Server, builder: Builder, sampling: Mapping[str, Any], *, prompt_length: int, response_length: int
    ) -> None:
        self._server, self._builder, self._sampling = server, builder, dict(sampling)
        self._prompt_length, self._response_length = prompt_length, response_length
        self._request = uuid.uuid4().hex  # the same in each turn, so that the turns meet the same prefix cache
        self.rows: list[Row] = []
        self.extra: dict[str, Any] = {}
        """The server's own fields: the versions of the weights that sampled."""
        self.preempted: int | None = None
        self.is_full = False
        """Whether the episode filled a row that nothing can be taken out of."""

    async def complete(
        self, messages: Sequence[Message], tools: Sequence[Schema], *, max_tokens: int, use_tools: bool = True
    ) -> Completion:
        # The tools stay in the prompt of the last turn too: without them it would be another prompt, tokenised anew.
        row = await asyncio.to_thread(self._row, [rendered(message) for message in messages], list(tools))
        room = self._response_length - len(row.response)
        self.is_full = room < 1
        if self.is_full:
            raise ContextFull(f"{len(row.ids)} tokens fill the {self._response_length} of a response")
        before = len(row.ids)
        output = await self._server.generate(
            self._request,
            prompt_ids=list(row.ids),
            sampling_params={**self._sampling, "max_tokens": min(max_tokens, room)},
        )
        if output.stop_reason == "aborted" or not output.token_ids:
            raise ModelError("the rollout server broke the reply off")
        written = list(output.token_ids)
        row.add(written, sampled=True, logprobs=output.log_probs or None)
        self._note(output)
        return self._read(written, row.ids[:before], tools, output.log_probs)

    def _row(self, messages: list[Message], tools: list[Schema]) -> Row:
        """The row that the conversation goes on in, with everything in its ids that the model is to see."""
        row = self.rows[-1] if self.rows else None
        known = len(row.messages) if row is not None else 0
        if row is None or messages[:known] != row.messages or len(messages) <= known + 1:
            return self._new_row(messages, tools)
        said = messages[: known + 1]  # with the reply that its ids end with
        if row.ids[-1] != self._end():  # a reply that was cut off at its limit has no end of turn
            row.add([self._end()], sampled=False)
        merged = self._builder.merge_context_tokens(said, messages, list(row.ids), tools=tools)
        if merged.removed_prefix_token_count:
            raise ModelError("this model family takes sampled tokens back between turns, which is not supported")
        row.add(merged.token_ids[len(row.ids) :], sampled=False)
        row.messages = messages
        return row

    def _new_row(self, messages: list[Message], tools: list[Schema]) -> Row:
        ids = list(self._builder.build_initial_tokens(messages, tools=tools))
        if len(ids) > self._prompt_length and not self.rows:
            raise ModelError(f"the first prompt has {len(ids)} tokens, data.max_prompt_length is {self._prompt_length}")
        # After a compaction the prompt is longer than verl's; the rest of it begins the response, masked.
        start = min(len(ids), self._prompt_length)
        row = Row(ids[:start], start, messages=messages)
        row.add(ids[start:], sampled=False)
        self.rows.append(row)
        return row

    def _read(
        self, written: list[int], prompt: list[int], tools: Sequence[Schema], logprobs: Sequence[float] | None
    ) -> Completion:
        return hermes.completion(
            self._builder.tokenizer,
            prompt,
            written,
            has_ended=written[-1] == self._end(),
            tools=tools,
            id_prefix=f"call_{len(prompt)}",
            logprobs=logprobs or None,
        )

    def _end(self) -> int:
        return int(self._builder.tokenizer.eos_token_id)

    def _note(self, output: Any) -> None:
        first = self.extra.get("min_global_steps")
        self.extra.update(output.extra_fields)
        if first is not None:
            self.extra["min_global_steps"] = first
        if output.num_preempted is not None:
            self.preempted = (self.preempted or 0) + output.num_preempted

    async def aclose(self) -> None:
        return None
