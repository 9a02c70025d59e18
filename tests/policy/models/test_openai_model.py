"""The endpoint adapter against a real loopback server."""

from __future__ import annotations

import json

import pytest

from policy.config import ModelConfig
from policy.errors import ConfigError, ContextFull, ModelError
from policy.models import open_model

TOOLS = [{"type": "function", "function": {"name": "search", "description": "", "parameters": {"type": "object"}}}]


def _reply(**message):
    finish = message.pop("finish", "stop")
    return {
        "id": "x", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish,
                     "logprobs": {"content": [{"token": "a", "logprob": -0.5, "bytes": None, "top_logprobs": []}]}}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
    }  # fmt: skip


async def _ask(loopback, status, body, messages=None, *, max_retries=0, use_tools=True, **config):
    payload = json.dumps(body).encode()
    server = loopback(lambda _: (status, {"content-type": "application/json"}, payload))
    settings = ModelConfig(name="m", base_url=f"{server.url}/v1", max_retries=max_retries, **config)
    model = open_model(settings, api_key="secret")
    try:
        reply = await model.complete(
            messages or [{"role": "user", "content": "hi"}], TOOLS, max_tokens=99, use_tools=use_tools
        )
    finally:
        await model.aclose()
    return reply, server


async def test_a_reply_with_native_tool_calls_thought_and_logprobs_is_read_whole(loopback):
    call = {"id": "c1", "type": "function", "function": {"name": "search", "arguments": '{"queries": ["x"]}'}}
    body = _reply(content=None, tool_calls=[call], reasoning_content="hm", finish="tool_calls")
    reply, server = await _ask(loopback, 200, body, logprobs=True, temperature=0.3)
    assert reply.tool_calls[0].name == "search"
    assert (reply.thought, reply.finish, reply.logprobs) == ("hm", "tool_calls", (-0.5,))
    assert (reply.prompt_tokens, reply.completion_tokens) == (11, 7)
    sent = json.loads(server.requests[0].body)
    assert (sent["max_tokens"], sent["temperature"], sent["logprobs"], sent["tools"]) == (99, 0.3, True, TOOLS)
    assert server.requests[0].headers["authorization"] == "Bearer secret"


async def test_the_last_turn_forbids_calls_but_keeps_the_tools_in_the_prompt(loopback):
    _, server = await _ask(loopback, 200, _reply(content="r"), use_tools=False)
    sent = json.loads(server.requests[0].body)
    assert (sent["tool_choice"], sent["tools"]) == ("none", TOOLS)


async def test_arguments_that_are_no_json_are_wrapped_and_thoughts_stay_here(loopback):
    call = {"id": "c1", "type": "function", "function": {"name": "search", "arguments": "{oops"}}
    history = [{"role": "assistant", "content": "", "reasoning_content": "secret", "tool_calls": [call]}]
    _, server = await _ask(loopback, 200, _reply(content="r"), history)
    sent = json.loads(server.requests[0].body)["messages"][0]
    assert json.loads(sent["tool_calls"][0]["function"]["arguments"]) == {"malformed": "{oops"}
    assert "reasoning_content" not in sent


async def test_a_full_context_is_told_apart_from_other_refusals(loopback):
    full = {
        "error": {"message": "This model's maximum context length is 8192 tokens", "code": "context_length_exceeded"}
    }
    with pytest.raises(ContextFull):
        await _ask(loopback, 400, full)
    with pytest.raises(ModelError, match="refuses the request"):
        await _ask(loopback, 400, {"error": {"message": "no such field"}})


async def test_an_endpoint_that_is_down_is_a_model_error(loopback):
    with pytest.raises(ModelError, match="the endpoint failed"):
        await _ask(loopback, 500, {"error": {"message": "boom"}})


async def test_a_reply_without_choices_is_a_model_error(loopback):
    with pytest.raises(ModelError, match="without choices"):
        await _ask(loopback, 200, {**_reply(content="x"), "choices": []})


def test_a_model_without_a_name_is_refused_before_any_request():
    with pytest.raises(ConfigError, match=r"model\.name"):
        open_model(ModelConfig())
