"""Any OpenAI-compatible endpoint, through the official client, with native tool calls."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from collections.abc import Sequence
from typing import Any

import openai

from policy.config import ModelConfig
from policy.context import estimate_tokens
from policy.errors import ConfigError, ContextFull, ModelAway, ModelError, NoAccess
from policy.model import Completion, Message, Observer, Schema
from policy.models import stream
from policy.models.limits import TooLong, too_long
from policy.models.reply import NoReply
from policy.whole import loads

__all__ = ["OpenAIModel"]

log = logging.getLogger(__name__)

_PASSING = (408, 409, 425, 429)
_NO_KEY = 401
_UNKNOWN = (400, 404, 405, 415, 422, 501)
"""What endpoints answer to a field that they do not know."""
_LENGTH = "max_completion_tokens"
_PAUSES = (0.5, 30.0)
"""Seconds before a request is repeated: the first, and the longest."""
_STREAMING: tuple[dict[str, Any], ...] = (
    {"stream": True, "stream_options": {"include_usage": True}},
    {"stream": True},
    {},
)
"""How a reply is asked for; the next where an endpoint refuses one."""
_LEAST_ROOM = 1024
"""Tokens of a reply below which a shorter history is asked for instead."""


def _broken() -> tuple[type[Exception], ...]:
    """What the library's own HTTP client raises while a body is read: it is httpx, or httpx2 since version 3. Only
    that one is loaded by now; the other raises nothing."""
    found = (sys.modules[name] for name in ("httpx", "httpx2") if name in sys.modules)
    return tuple(error for module in found for error in (module.HTTPError, module.StreamError))


_BROKEN = _broken()


class OpenAIModel:
    """A chat model behind an address. What fails for a passing reason is asked again, as the settings say.

    With an `observer`, replies are asked for piece by piece. Else nobody would see the pieces, and many episodes at
    once would only pay for them.
    """

    def __init__(self, config: ModelConfig, *, api_key: str | None = None, observer: Observer | None = None) -> None:
        if not config.name:
            raise ConfigError("model.name: the endpoint's name for the model is missing")
        self._config = config
        # Local servers need no key, but the library insists on one.
        self._client = openai.AsyncOpenAI(
            base_url=config.base_url, api_key=api_key or "none", timeout=config.timeout, max_retries=0
        )
        self._observer = observer
        is_streamed = config.stream and observer is not None
        self._streaming = list(_STREAMING if is_streamed else _STREAMING[-1:])
        self._length_field: str = config.max_tokens_field
        self._replies = 0
        self._window: int | None = None
        self._most: int | None = None
        self._per_estimate = 1.0
        """Tokens by the endpoint's count to one that we estimate; of the last reply."""

    @property
    def name(self) -> str:
        return self._config.name

    async def complete(
        self, messages: Sequence[Message], tools: Sequence[Schema], *, max_tokens: int, use_tools: bool = True
    ) -> Completion:
        estimated = sum(map(estimate_tokens, messages)) + len(json.dumps(list(tools))) // 4
        room = self._room(max_tokens, estimated)
        while True:
            try:
                reply = await self._patiently(self._request(messages, tools, room, use_tools))
            except _Refused as refused:
                said = refused.said
                self._window, self._most = said.window or self._window, said.reply or self._most
                prompt = said.prompt or (None if self._window is None else int(estimated * self._per_estimate))
                if said.prompt:
                    self._per_estimate = said.prompt / max(1, estimated)
                fits = room // 2
                if said.reply is not None:
                    fits = min(said.reply, room - 1)
                elif said.window is not None and prompt is not None:
                    # An estimated prompt may be longer than that, and must not be crept up to token by token.
                    fits = min(said.window - prompt - 16, room - 1 if said.prompt else room * 3 // 4)
                least = min(max_tokens, _LEAST_ROOM)
                if fits < least:
                    raise ContextFull(str(refused), window=self._window) from refused
                room = fits
                continue
            if reply.prompt_tokens:
                self._per_estimate = reply.prompt_tokens / max(1, estimated)
            return reply

    def _room(self, wanted: int, estimated: int) -> int:
        """Tokens to ask for: what is wanted, or what fits by what the endpoint has said before."""
        room = wanted if self._most is None else min(wanted, self._most)
        if self._window is None:
            return room
        # A little less than fits: the estimate is one.
        return min(room, max(min(wanted, _LEAST_ROOM), int(self._window - estimated * self._per_estimate * 1.02) - 64))

    async def _patiently(self, request: dict[str, Any]) -> Completion:
        """The reply. Raises _Refused where it is the length that does not fit."""
        pause, since = _PAUSES[0], None
        while True:
            how = self._streaming[0]
            try:
                return await self._once({**request, **how})
            except (openai.APIConnectionError, openai.APIStatusError, NoReply) as error:
                wait = pause
                if (status := _status(error)) is not None:
                    if self._length_field != _LENGTH and _wants_other_length(status, str(error)):
                        request[_LENGTH] = request.pop(self._length_field)
                        self._length_field = _LENGTH
                        continue
                    said = too_long(status, str(error))
                    if said is not None:
                        raise _Refused(said, str(error)) from error
                    if status in _UNKNOWN and len(self._streaming) > 1 and "stream" in str(error).lower():
                        if how is self._streaming[0]:
                            del self._streaming[0]
                        continue
                    if status == _NO_KEY:
                        raise NoAccess(f"the endpoint refuses the key: {error}") from error
                    if status not in _PASSING and status < 500:
                        raise ModelError(f"the endpoint refuses the request: {error}") from error
                    wait = _retry_after(error, pause)
                now = time.monotonic()
                since = now if since is None else since
                if now + wait - since > self._config.patience:
                    raise ModelAway(f"the endpoint failed: {_words(error)}") from error
                log.info("the endpoint failed, asked again in %.1f s: %s", wait, _words(error))
                if self._observer is not None:
                    self._observer.waits(wait, _words(error))
                await asyncio.sleep(wait)
                pause = min(_PAUSES[1], pause * 2)
            except openai.OpenAIError as error:
                raise ModelError(f"the endpoint failed: {error}") from error

    async def _once(self, request: dict[str, Any]) -> Completion:
        """Raises NoReply, and what the library raises of a status or of an address that is not reached."""
        self._replies += 1
        if self._observer is not None:
            self._observer.begins()
        try:
            # The library's limit is for the time between two bytes, and a server may send one at a time.
            async with (
                asyncio.timeout(self._config.timeout) as limit,
                # The body is read here: the library takes anything for a reply, and ends on some of it with errors of
                # its own.
                self._client.chat.completions.with_streaming_response.create(**request) as raw,
            ):

                def begins() -> None:
                    limit.reschedule(asyncio.get_running_loop().time() + 9 * self._config.timeout)

                return await stream.read(
                    raw.iter_bytes(),
                    self._observer,
                    begins=begins,
                    stall=self._config.stall,
                    id_prefix=f"call_{self._replies}",
                    tools=request.get("tools", ()),
                )
        except TimeoutError as error:
            raise NoReply(f"no whole reply in the time for one, {self._config.timeout:g} s") from error
        except _BROKEN as error:
            raise NoReply(f"the connection broke off: {error or type(error).__name__}") from error

    def _request(
        self, messages: Sequence[Message], tools: Sequence[Schema], max_tokens: int, use_tools: bool
    ) -> dict[str, Any]:
        config = self._config
        request: dict[str, Any] = {
            "model": config.name,
            "messages": [_sendable(message, config.send_thoughts) for message in messages],
            self._length_field: max_tokens,
        }
        if tools:
            request["tools"] = list(tools)
            if not use_tools:
                request["tool_choice"] = "none"
        if config.temperature is not None:
            request["temperature"] = config.temperature
        if config.top_p is not None:
            request["top_p"] = config.top_p
        if config.logprobs:
            request["logprobs"] = True
        return request

    async def aclose(self) -> None:
        await self._client.close()


class _Refused(Exception):
    """The endpoint says that the prompt and the reply asked for are too long together."""

    def __init__(self, said: TooLong, words: str) -> None:
        super().__init__(words)
        self.said = said


def _status(error: Exception) -> int | None:
    """What HTTP would call the failure, in a header or, where that said 200, in the body; None where nothing did."""
    return error.status_code if isinstance(error, openai.APIStatusError) else getattr(error, "status", None)


def _wants_other_length(status: int, words: str) -> bool:
    """Models of OpenAI's that think: 'max_tokens' is not supported, use 'max_completion_tokens' instead."""
    return status in _UNKNOWN and _LENGTH in words and "instead" in words.lower()


def _retry_after(error: Exception, pause: float) -> float:
    """Seconds that the endpoint asks to wait, or the pause."""
    if not isinstance(error, openai.APIStatusError):
        return pause
    try:
        return max(pause, min(120.0, float(error.response.headers.get("retry-after", ""))))
    except ValueError:  # a date, or nothing
        return pause


def _words(error: Exception) -> str:
    cause = f" ({error.__cause__})" if isinstance(error, openai.APIConnectionError) and error.__cause__ else ""
    return f"{str(error)[:500]}{cause}"


def _sendable(message: Message, send_thoughts: bool) -> Message:
    """The message as endpoints take it: arguments that are not a JSON object would make many of them fail."""
    sent = {key: value for key, value in message.items() if key != "reasoning_content" or send_thoughts}
    if "tool_calls" in sent:
        sent["tool_calls"] = [
            {**call, "function": {**call["function"], "arguments": _object(call["function"]["arguments"])}}
            for call in sent["tool_calls"]
        ]
    return sent


def _object(arguments: str) -> str:
    try:
        if isinstance(loads(arguments), dict):
            return arguments
    except ValueError:
        pass
    return json.dumps({"malformed": arguments}, ensure_ascii=False)
