"""A chat model as writers use it: what it reads and writes is counted; where it refuses everything it is away."""

from __future__ import annotations

from collections.abc import Sequence

from policy.errors import ContextFull, ModelAway, ModelError, NoAccess
from policy.model import Completion, Message, Model, Schema

__all__ = ["Counted"]

_REFUSALS = 8
"""So many in a row are not about their prompts."""


class Counted:
    """A model that counts what it was asked and what it wrote, in tokens.

    One that takes no key of ours, refuses before it has ever answered, or so many times in a row, refuses everything
    and not this prompt: a wrong key, a name that it does not know. It is away then, so that nothing is dropped for it.
    """

    def __init__(self, model: Model) -> None:
        self._model, self._refused = model, 0
        self.calls = self.prompt_tokens = self.completion_tokens = 0

    @property
    def name(self) -> str:
        return self._model.name

    async def complete(
        self, messages: Sequence[Message], tools: Sequence[Schema], *, max_tokens: int, use_tools: bool = True
    ) -> Completion:
        """The model's reply. Raises what it raises, or ModelAway for it."""
        try:
            reply = await self._model.complete(messages, tools, max_tokens=max_tokens, use_tools=use_tools)
        except NoAccess as error:
            raise ModelAway(str(error)) from error
        except (ContextFull, ModelAway):  # it is the prompt, or known to pass
            raise
        except ModelError as error:
            self._refused += 1
            if not self.calls or self._refused >= _REFUSALS:
                raise ModelAway(str(error)) from error
            raise
        self.calls, self._refused = self.calls + 1, 0
        self.prompt_tokens += reply.prompt_tokens
        self.completion_tokens += reply.completion_tokens
        return reply

    async def aclose(self) -> None:
        await self._model.aclose()
