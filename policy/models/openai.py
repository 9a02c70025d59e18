"""Any OpenAI-compatible endpoint, through the official client, with native tool calls."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal

import openai

from policy.config import ModelConfig
from policy.errors import ConfigError, ContextFull, ModelError
from policy.model import Completion, Message, Schema, ToolCall
from policy.whole import loads

__all__ = ["OpenAIModel"]

_FULL = ("context_length", "context length", "maximum context", "too many tokens", "prompt is too long")


class OpenAIModel:
    """A chat model behind an address. Passing failures are retried by the client library, as the settings say."""

    def __init__(self, config: ModelConfig, *, api_key: str | None = None) -> None:
        if not config.name:
            raise ConfigError("model.name: the endpoint's name for the model is missing")
        self._config = config
        # Local servers need no key, but the library insists on one.
        self._client = openai.AsyncOpenAI(
            base_url=config.base_url,
            api_key=api_key or "none",
            timeout=config.timeout,
            max_retries=config.max_retries,
        )

    @property
    def name(self) -> str:
        return self._config.name

    async def complete(
        self, messages: Sequence[Message], tools: Sequence[Schema], *, max_tokens: int, use_tools: bool = True
    ) -> Completion:
        try:
            reply = await self._client.chat.completions.create(**self._request(messages, tools, max_tokens, use_tools))
        except openai.BadRequestError as error:
            if any(sign in str(error).lower() for sign in _FULL):
                raise ContextFull(str(error)) from error
            raise ModelError(f"the endpoint refuses the request: {error}") from error
        except openai.OpenAIError as error:
            raise ModelError(f"the endpoint failed: {error}") from error
        if not reply.choices:
            raise ModelError("the endpoint sent a reply without choices")
        return _read(reply)

    def _request(
        self, messages: Sequence[Message], tools: Sequence[Schema], max_tokens: int, use_tools: bool
    ) -> dict[str, Any]:
        config = self._config
        request: dict[str, Any] = {
            "model": config.name,
            "messages": [_sendable(message, config.send_thoughts) for message in messages],
            config.max_tokens_field: max_tokens,
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
    except (ValueError, RecursionError):
        pass
    return json.dumps({"malformed": arguments}, ensure_ascii=False)


def _read(reply: Any) -> Completion:
    choice, usage = reply.choices[0], reply.usage
    message = choice.message
    calls = tuple(
        ToolCall(call.id or f"call_{i}", call.function.name or "", call.function.arguments or "{}")
        for i, call in enumerate(message.tool_calls or ())
        if call.type in (None, "function")
    )
    finish: Literal["stop", "length", "tool_calls"] = "tool_calls" if calls else "stop"
    if choice.finish_reason == "length":
        finish = "length"
    tokens = choice.logprobs.content if choice.logprobs is not None else None
    # vLLM says `reasoning`, others `reasoning_content`; the library keeps fields it does not know.
    thought = getattr(message, "reasoning_content", None) or getattr(message, "reasoning", None) or ""
    return Completion(
        content=message.content or "",
        thought=thought if isinstance(thought, str) else "",
        tool_calls=calls,
        finish=finish,
        prompt_tokens=usage.prompt_tokens if usage else 0,
        completion_tokens=usage.completion_tokens if usage else 0,
        logprobs=tuple(token.logprob for token in tokens) if tokens else None,
    )
