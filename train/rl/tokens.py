"""An episode as token sequences: what was prompted, what was sampled, and which is which."""

from __future__ import annotations

from collections.abc import Sequence as Many
from dataclasses import dataclass, field

from policy.model import Message, Schema
from train.rl.template import ChatTemplate

__all__ = ["Conversation", "Sequence"]


@dataclass(slots=True)
class Sequence:
    """A prompt and all that came after it, the tools' words included.

    `completion_ids`, `mask` and `logprobs` have one length. `mask` is 1 where the token was sampled from the policy and
    0 where a tool or the template wrote it; there `logprobs` is 0.
    """

    prompt_ids: list[int]
    completion_ids: list[int] = field(default_factory=list)
    mask: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)

    @property
    def ids(self) -> list[int]:
        return self.prompt_ids + self.completion_ids

    def add(self, ids: Many[int], logprobs: Many[float] | None = None) -> None:
        """Sampled tokens with their log-probabilities, or without them what somebody else wrote."""
        self.completion_ids += ids
        self.mask += [int(logprobs is not None)] * len(ids)
        self.logprobs += [0.0] * len(ids) if logprobs is None else logprobs

    def trimmed(self) -> Sequence:
        """The sequence up to its last sampled token."""
        end = len(self.mask)
        while end and not self.mask[end - 1]:
            end -= 1
        return Sequence(self.prompt_ids, self.completion_ids[:end], self.mask[:end], self.logprobs[:end])


class Conversation:
    """The tokens of one episode as it grows. A compacted history begins another sequence."""

    def __init__(self, template: ChatTemplate) -> None:
        self._template = template
        self._sequences: list[Sequence] = []
        self._seen: list[Message] = []
        self._has_ended = True
        self.is_new = True
        """Whether the last prompt began a sequence, so that nothing cached belongs to it."""

    @property
    def current(self) -> Sequence:
        return self._sequences[-1]

    def prompt(self, messages: Many[Message], tools: Many[Schema]) -> list[int]:
        """All ids before the next reply to `messages`, the earlier ones exactly as they were."""
        known = len(self._seen)
        follows = bool(self._sequences) and len(messages) > known and list(messages[:known]) == self._seen
        self.is_new = not (follows and messages[known]["role"] == "assistant" and len(messages) > known + 1)
        if self.is_new:
            self._sequences.append(Sequence(self._template.first(messages, tools)))
        else:
            self.current.add(self._template.following(messages[known + 1 :], has_ended=self._has_ended))
        self._seen = list(messages)
        return self.current.ids

    def reply(self, ids: Many[int], logprobs: Many[float], *, has_ended: bool) -> None:
        """Take in what was sampled."""
        self.current.add(ids, logprobs)
        self._has_ended = has_ended

    def sequences(self) -> tuple[Sequence, ...]:
        """What to train on: every sequence in which something was sampled, up to its last sampled token."""
        return tuple(sequence.trimmed() for sequence in self._sequences if any(sequence.mask))
