"""The endpoint adapter against a real loopback server."""

from __future__ import annotations

import json

import pytest

from policy.config import ModelConfig
from policy.errors import ConfigError, ContextFull, ModelAway, ModelError, NoAccess
from policy.models import open_model, openai

TOOLS = [{"type": "function", "function": {"name": "search", "description": "", "parameters": {"type": "object"}}}]


def _reply(**message):
    finish = message.pop("finish", "stop")
    return {
        "id": "x", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish,
                     "logprobs": {"content": [{"token": "a", "logprob": -0.5, "bytes": None, "top_logprobs": []}]}}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
    }  # fmt: skip


async def _ask(loopback, status, body, messages=None, *, patience=0, use_tools=True, **config):
    payload = json.dumps(body).encode()
    server = loopback(lambda _: (status, {"content-type": "application/json"}, payload))
    settings = ModelConfig(name="m", base_url=f"{server.url}/v1", patience=patience, **config)
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


async def test_a_key_that_is_refused_is_told_apart_and_not_tried_again(loopback):
    with pytest.raises(NoAccess, match=r"refuses the key.*who are you"):
        await _ask(loopback, 401, {"error": {"message": "who are you?"}})


async def test_an_endpoint_that_is_down_is_a_model_error(loopback):
    with pytest.raises(ModelError, match="the endpoint failed"):
        await _ask(loopback, 500, {"error": {"message": "boom"}})


async def test_a_reply_without_choices_is_a_model_error(loopback):
    with pytest.raises(ModelError, match="without choices"):
        await _ask(loopback, 200, {**_reply(content="x"), "choices": []})


def test_a_model_without_a_name_is_refused_before_any_request():
    with pytest.raises(ConfigError, match=r"model\.name"):
        open_model(ModelConfig())


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"<html>Bad gateway</html>", "no JSON"),
        (b"", "no JSON"),
        (b"null", "no object"),
        (b"[" * 5000, "nested too deeply"),
        (b'{"error": "overloaded"}', "in place of a reply: overloaded"),
        (b'{"choices": [null]}', "without choices"),
        (b'{"choices": [{"message": null}]}', "without a message"),
    ],
)
async def test_what_is_no_reply_is_asked_again_and_then_the_model_is_away(loopback, body, says, monkeypatch):
    monkeypatch.setattr(openai, "_PAUSES", (0.02, 0.05))
    answers = [body, body, json.dumps(_reply(content="good")).encode()]
    for patience, outcome in ((20, None), (0, says)):
        left = iter(answers)
        server = loopback(lambda _, left=left: (200, {"content-type": "text/html"}, next(left)))
        model = open_model(ModelConfig(name="m", base_url=server.url, patience=patience))
        try:
            if outcome is None:
                assert (await model.complete([], TOOLS, max_tokens=9)).content == "good"
            else:
                with pytest.raises(ModelAway, match=outcome):
                    await model.complete([], TOOLS, max_tokens=9)
        finally:
            await model.aclose()


def _tool_call(**function):
    return {"id": None, "type": "function", "function": {"name": "search", **function}}


@pytest.mark.parametrize(
    ("message", "arguments", "content"),
    [
        ({"content": None, "tool_calls": [_tool_call(arguments={"q": 1})]}, '{"q": 1}', ""),
        ({"content": None, "tool_calls": [_tool_call(arguments=None)]}, "{}", ""),
        ({"content": None, "tool_calls": _tool_call(arguments={"q": 1})}, '{"q": 1}', ""),
        ({"content": None, "function_call": {"name": "search", "arguments": '{"q": 1}'}}, '{"q": 1}', ""),
        ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, None, "ab"),
        ({"content": "<think>hm</think>The report."}, None, "The report."),
        ({"content": '<tool_call>{"name": "search", "arguments": {"q": 2}}</tool_call>'}, '{"q": 2}', ""),
    ],
)
async def test_replies_in_odd_forms_are_read(loopback, message, arguments, content):
    reply, _ = await _ask(loopback, 200, _reply(**message))
    assert reply.content == content
    assert [call.arguments for call in reply.tool_calls] == ([] if arguments is None else [arguments])


REFUSALS = {
    "vLLM": "This model's maximum context length is 16384 tokens. However, you requested {total} tokens "
    "({prompt} in the messages, {wanted} in the completion). Please reduce the length of the messages or completion.",
    "SGLang": "Requested token count exceeds the model's maximum context length of 16384 tokens. You requested a total "
    "of {total} tokens: {prompt} tokens from the input messages and {wanted} tokens for the completion.",
    "TGI": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 16384. "
    "Given: {prompt} `inputs` tokens and {wanted} `max_new_tokens`",
    "llama.cpp": "the request exceeds the available context size (16384 tokens), try increasing it",
    "Ollama": "the input length exceeds the context length",
}
STATUS = {"TGI": 422, "Ollama": 500}


@pytest.mark.parametrize("server", REFUSALS)
async def test_a_reply_is_asked_for_that_fits_the_window_of_the_endpoint(loopback, server):
    prompt, asked = 3000, []

    def answer(request):
        wanted = json.loads(request.body)["max_tokens"]
        asked.append(wanted)
        if prompt + wanted > 16384:
            words = REFUSALS[server].format(total=prompt + wanted, prompt=prompt, wanted=wanted)
            return (
                STATUS.get(server, 400),
                {"content-type": "application/json"},
                json.dumps({"error": {"message": words}}).encode(),
            )
        body = _reply(content="r")
        body["usage"]["prompt_tokens"] = prompt
        return 200, {"content-type": "application/json"}, json.dumps(body).encode()

    model = open_model(ModelConfig(name="m", base_url=loopback(answer).url, patience=0))
    messages = [{"role": "user", "content": "word " * 2000}]
    try:
        await model.complete(messages, TOOLS, max_tokens=16384)
        assert len(asked) <= 4
        assert 1024 <= asked[-1] <= 16384 - prompt
        prompt = 16000
        with pytest.raises(ContextFull) as caught:
            await model.complete(messages * 6, TOOLS, max_tokens=16384)
        assert caught.value.window == (None if server == "Ollama" else 16384)
    finally:
        await model.aclose()


async def test_a_request_too_large_for_a_proxy_is_a_full_context(loopback):
    with pytest.raises(ContextFull):
        await _ask(loopback, 413, {"error": {"message": "Payload Too Large"}})


async def test_a_model_that_calls_the_length_otherwise_is_asked_as_it_wants(loopback):
    words = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    error = {"error": {"message": words, "type": "invalid_request_error", "code": "unsupported_parameter"}}

    def answer(request):
        is_wrong = "max_tokens" in json.loads(request.body)
        return 400 if is_wrong else 200, {}, json.dumps(error if is_wrong else _reply(content="r")).encode()

    server = loopback(answer)
    model = open_model(ModelConfig(name="m", base_url=server.url, patience=0))
    try:
        for _ in range(2):
            assert (await model.complete([], TOOLS, max_tokens=4000)).content == "r"
    finally:
        await model.aclose()
    asked = [json.loads(request.body).get("max_completion_tokens") for request in server.requests]
    assert asked == [None, 4000, 4000]


async def test_half_an_emoji_in_arguments_is_not_sent_on(loopback):
    from policy.model import Completion, ToolCall

    message = Completion(tool_calls=(ToolCall("c", "search", '{"q": "cut \\ud83d"}'),)).message()
    _, server = await _ask(loopback, 200, _reply(content="r"), [message])
    sent = json.loads(server.requests[0].body)["messages"][0]
    assert json.loads(sent["tool_calls"][0]["function"]["arguments"]) == {"q": "cut ?"}
