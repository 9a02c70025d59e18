"""Replies in pieces, as endpoints send them: the recorded shapes are of public documentation and issue trackers."""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time

import pytest

from policy.config import ModelConfig
from policy.errors import ContextFull, ModelAway, ModelError
from policy.models import open_model, openai, stream
from policy.models.reply import NoReply
from tests.linear import growth

TOOLS = [{"type": "function", "function": {"name": "search", "description": "", "parameters": {"type": "object"}}}]
SSE = {"content-type": "text/event-stream; charset=utf-8"}


class Seen:
    """An observer that keeps what it sees."""

    def __init__(self):
        self.pieces, self.begun, self.waited = [], 0, []

    def begins(self):
        self.begun += 1
        self.pieces = []

    def writes(self, piece):
        self.pieces.append(piece)

    def waits(self, seconds, reason):
        self.waited.append(reason)

    def text(self, kind):
        return "".join(piece.text for piece in self.pieces if piece.kind == kind)


def _data(value):
    return b"data: " + (value if isinstance(value, bytes) else json.dumps(value).encode()) + b"\n\n"


def _chunk(finish=None, **delta):
    return {"id": "x", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta,
            "finish_reason": finish}]}  # fmt: skip


def _call(arguments=None, name=None, **rest):
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    return {"function": function, **rest}


USAGE = {"choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}}
OPENAI = [
    _chunk(role="assistant", content="", refusal=None), _chunk(content="Hel"), _chunk(content="lo"), _chunk("stop"),
    USAGE,
]  # fmt: skip


async def _ask(loopback, *answers, seen=None, patience=0, **config):
    """The reply to the last of the answers, each (status, headers, chunks); what was asked, and what was seen."""
    left = iter(answers)
    server = loopback(lambda _: next(left))
    seen = seen or Seen()
    settings = ModelConfig(name="m", base_url=server.url, patience=patience, **config)
    model = open_model(settings, observer=seen)
    try:
        reply = await model.complete([{"role": "user", "content": "hi"}], TOOLS, max_tokens=99)
    finally:
        await model.aclose()
    return reply, [json.loads(request.body) for request in server.requests], seen


def _stream(*events, done=True):
    return 200, SSE, [b"".join(map(_data, events)) + (_data(b"[DONE]") if done else b"")]


async def test_content_thought_calls_usage_and_log_probabilities_are_put_together_and_seen_as_they_come(loopback):
    odd = _chunk(content="o")
    odd["choices"][0]["logprobs"] = {"content": [{"token": "o", "logprob": -0.5}]}
    events = [
        _chunk(reasoning_content="h"), _chunk(reasoning="m"), odd,
        _chunk(tool_calls=[_call("", "search", index=0, id="c1", type="function")]),
        _chunk(tool_calls=[_call('{"queries"', index=0)]), _chunk(tool_calls=[_call(': ["x"]}', index=0)]),
        _chunk(tool_calls=[_call("{}", "open", index=1, id="c2")]), _chunk("tool_calls"), USAGE,
    ]  # fmt: skip
    reply, asked, seen = await _ask(loopback, _stream(*events), logprobs=True)
    assert (reply.thought, reply.content, reply.finish, reply.logprobs) == ("hm", "o", "tool_calls", (-0.5,))
    assert [(c.id, c.name, c.arguments) for c in reply.tool_calls] == [
        ("c1", "search", '{"queries": ["x"]}'), ("c2", "open", "{}"),
    ]  # fmt: skip
    assert (reply.prompt_tokens, reply.completion_tokens) == (11, 7)
    assert (asked[0]["stream"], asked[0]["stream_options"]) == (True, {"include_usage": True})
    assert (seen.text("thought"), seen.text("content"), seen.text("call")) == ("hm", "o", '{"queries": ["x"]}{}')
    assert [piece.name for piece in seen.pieces if piece.kind == "call"] == ["search"] * 3 + ["open"]


SHAPES = {
    "Gemini, SGLang: no index": [
        _chunk(tool_calls=[_call('{"a":1}', "search", id="g1", type="function")]),
        _chunk(tool_calls=[_call('{"a":2}', "search", id="g2", type="function")]),
    ],
    "Ollama: every index is 0": [
        _chunk(tool_calls=[_call('{"a":1}', "search", index=0, id="call_1")]),
        _chunk(tool_calls=[_call('{"a":2}', "search", index=0, id="call_2")]),
    ],
    "Ollama's own form: arguments are an object, and there is neither id nor index": [
        _chunk(tool_calls=[_call({"a": 1}, "search"), _call({"a": 2}, "search")]),
    ],
    "the arguments come before the name": [
        _chunk(tool_calls=[_call('{"a"', id="s1")]), _chunk(tool_calls=[_call(":1}", "search", id="s1")]),
        _chunk(tool_calls=[_call('{"a":2}', "search", id="s2")]),
    ],
    "LocalAI: a call is sent once more under another index": [
        _chunk(tool_calls=[_call('{"a":1}', "search", index=0, id="l1")]),
        _chunk(tool_calls=[_call('{"a":1}', "search", index=1, id="l1")]),
        _chunk(tool_calls=[_call('{"a":2}', "search", index=2, id="l2")]),
    ],
    "id and name stand in every piece": [
        _chunk(tool_calls=[_call('{"a"', "search", index=0, id="r1")]),
        _chunk(tool_calls=[_call(":1}", "search", index=0, id="r1")]),
        _chunk(tool_calls=[_call('{"a":2}', "search", index=1, id="r2")]),
    ],
    "vLLM: the name first, in a piece of its own, and pieces of both calls by their index": [
        _chunk(tool_calls=[_call(name="search", index=0, id="v1")]),
        _chunk(tool_calls=[_call(name="search", index=1, id="v2")]),
        _chunk(tool_calls=[_call('{"a":', index=0), _call('{"a":', index=1)]),
        _chunk(tool_calls=[_call("1}", index=0), _call("2}", index=1)]),
    ],
    "no id, no index, in pieces": [
        _chunk(tool_calls=[_call("", "search")]), _chunk(tool_calls=[_call('{"a"')]), _chunk(tool_calls=[_call(":1}")]),
        _chunk(tool_calls=[_call("", "search")]), _chunk(tool_calls=[_call('{"a":2}')]),
    ],
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
async def test_calls_are_told_apart_however_they_are_numbered(loopback, shape):
    reply, _, _ = await _ask(loopback, _stream(*SHAPES[shape], _chunk("tool_calls")))
    assert [(call.name, json.loads(call.arguments)) for call in reply.tool_calls] == [
        ("search", {"a": 1}),
        ("search", {"a": 2}),
    ]
    assert len({call.id for call in reply.tool_calls}) == 2


FORMS = {
    "data without a space": b"".join(b"data:" + json.dumps(one).encode() + b"\n\n" for one in OPENAI),
    "line ends of two characters": b"".join(map(_data, OPENAI)).replace(b"\n", b"\r\n"),
    "line ends of the old kind": b"".join(map(_data, OPENAI)).replace(b"\n", b"\r"),
    "no line between events": b"".join(map(_data, OPENAI)).replace(b"\n\n", b"\n"),
    "comments, as proxies send them to keep a connection": b": OPENROUTER PROCESSING\n\n" * 9
    + b"".join(map(_data, OPENAI)),
    "names and numbers of events": b"\xef\xbb\xbfid: 1\nevent: message\nretry: 9\n" + b"".join(map(_data, OPENAI)),
    "data on several lines": b"".join(
        _data(json.dumps(one, indent=1).replace("\n", "\ndata: ").encode()) for one in OPENAI
    ),
    "no mark of the end": b"".join(map(_data, OPENAI)),
    "no reason for the end": b"".join(map(_data, [*OPENAI[:3], USAGE])) + _data(b"[DONE]"),
    "one JSON, of an endpoint that knows no streams": json.dumps(
        {"choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}], "usage": USAGE["usage"]}
    ).encode(),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("kind", "size"), [("text/event-stream", 1), ("application/json", 7), ("text/plain", 100_000)])
async def test_every_form_of_a_stream_is_read_wherever_it_is_cut(loopback, form, kind, size):
    chunks = [FORMS[form][at : at + size] for at in range(0, len(FORMS[form]), size)]
    reply, _, seen = await _ask(loopback, (200, {"content-type": kind}, chunks))
    assert (reply.content, reply.prompt_tokens, reply.finish) == ("Hello", 11, "stop")
    assert seen.text("content") in ("Hello", "")


async def test_characters_are_whole_where_their_bytes_are_cut(loopback):
    body = b"".join(_data(json.dumps(_chunk(content=word), ensure_ascii=False).encode()) for word in ("水车😀", "é"))
    body += _data(_chunk("stop"))
    reply, _, _ = await _ask(loopback, (200, SSE, [bytes([byte]) for byte in body]))
    assert reply.content == "水车😀é"


BROKEN = {
    "it ends without an end": (_stream(*OPENAI[:3], done=False), "broke off"),
    "it ends within an event": ((200, SSE, [_data(OPENAI[1]) + b'data: {"choi']), "breaks off within an event"),
    "what it holds is no JSON": ((200, SSE, [_data(OPENAI[1]) + b"data: <html>\n\n"]), "no JSON"),
    "it has nothing in it": ((200, SSE, [b": ping\n\n"]), "without a reply"),
    "it is empty": ((200, SSE, [b""]), "no JSON"),
    "an error in it": (_stream(OPENAI[1], {"error": {"message": "worker died"}}), "worker died"),
    "an event of the kind error": (
        (200, SSE, [_data(OPENAI[1]) + b'event: error\ndata: {"message": "worker died"}\n\n']),
        "worker died",
    ),
    "it ends because of an error": (_stream(OPENAI[1], _chunk("error")), "error in place of a reply"),
    "the connection is cut": ((200, {**SSE, "content-length": "9999"}, [_data(OPENAI[1])]), "connection broke off"),
}


@pytest.mark.parametrize("fault", BROKEN)
async def test_a_broken_stream_is_asked_for_again_and_then_the_model_is_away(loopback, fault, monkeypatch):
    monkeypatch.setattr(openai, "_PAUSES", (0.02, 0.05))
    answer, says = BROKEN[fault]
    with pytest.raises(ModelAway, match=says):
        await _ask(loopback, answer)
    reply, _, seen = await _ask(loopback, answer, _stream(*OPENAI), patience=20)
    assert (reply.content, seen.text("content"), seen.begun) == ("Hello", "Hello", 2)
    assert says in seen.waited[0]


@pytest.mark.parametrize("is_stream", [True, False])
async def test_an_error_behind_a_200_is_what_it_says_it_is(loopback, is_stream):
    """llama.cpp has answered with 200 and an error in the body; vLLM does so where a stream has begun."""
    full = {"error": {"code": 400, "message": "request (4390 tokens) exceeds the available context size (4096 tokens)",
                      "type": "exceed_context_size_error", "n_prompt_tokens": 4390, "n_ctx": 4096}}  # fmt: skip
    wrong = {"error": {"code": 400, "message": "no such field", "type": "BadRequestError"}}

    def answer(error):
        return _stream(error) if is_stream else (200, {"content-type": "application/json"}, json.dumps(error).encode())

    with pytest.raises(ContextFull) as caught:
        await _ask(loopback, answer(full))
    assert caught.value.window == 4096
    with pytest.raises(ModelError, match="refuses the request") as refused:
        await _ask(loopback, answer(wrong), patience=60)
    assert not isinstance(refused.value, ModelAway)


async def test_a_stream_that_stands_still_is_given_up_and_a_slow_beginning_is_not(loopback):
    async def slow():
        await asyncio.sleep(0.3)
        yield b"".join(map(_data, OPENAI))  # and its end without a wait

    reply = await stream.read(slow(), None, stall=0.1, id_prefix="c")
    assert reply.content == "Hello"
    given_up = threading.Event()

    def stands():
        yield _data(OPENAI[1])
        given_up.wait(60)

    try:
        with pytest.raises(ModelAway, match=r"stood still for 0\.3 s"):
            await _ask(loopback, (200, SSE, stands()), stall=0.3)
    finally:
        given_up.set()


async def test_a_reply_that_does_not_begin_or_never_ends_is_given_up_and_a_long_one_is_not(loopback):
    def drips(chunk, seconds, *end):
        since = time.monotonic()
        while time.monotonic() - since < seconds:
            yield chunk
            time.sleep(0.02)
        yield from end

    pings = drips(b": ping\n\n", 60)  # or until the client leaves
    with pytest.raises(ModelAway, match=r"no whole reply in the time for one, 0\.3 s"):
        await _ask(loopback, (200, SSE, pings), timeout=0.3)
    reply, _, _ = await _ask(loopback, (200, SSE, drips(_data(OPENAI[1]), 3.3, _data(_chunk("stop")))), timeout=3)
    assert reply.content.startswith("HelHel")
    with pytest.raises(ModelAway, match=r"no whole reply in the time for one, 0\.1 s"):
        await _ask(loopback, (200, SSE, drips(_data(OPENAI[1]), 60)), timeout=0.1)


@pytest.mark.parametrize("refuses", ["stream_options", "stream"])
async def test_an_endpoint_that_refuses_the_fields_of_streams_is_asked_without(loopback, refuses):
    refused = []

    def answer(request):
        asked = json.loads(request.body)
        if refuses in asked:
            refused.append(asked)
            error = {"error": {"message": f"Unknown field: {refuses}"}}
            return 400, {"content-type": "application/json"}, json.dumps(error).encode()
        if "stream" in asked:
            return _stream(*OPENAI)
        body = {"choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}]}
        return 200, {"content-type": "application/json"}, json.dumps(body).encode()

    model = open_model(ModelConfig(name="m", base_url=loopback(answer).url, patience=0), observer=Seen())
    try:
        for _ in range(2):  # it is remembered
            assert (await model.complete([], TOOLS, max_tokens=9)).content == "Hello"
    finally:
        await model.aclose()
    assert len(refused) == (1 if refuses == "stream_options" else 2)


async def test_without_an_observer_or_by_the_setting_nothing_is_streamed(loopback):
    body = json.dumps({"choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}]}).encode()
    for observer, is_asked in ((None, True), (Seen(), False)):
        server = loopback(lambda _: (200, {"content-type": "application/json"}, body))
        model = open_model(ModelConfig(name="m", base_url=server.url, patience=0, stream=is_asked), observer=observer)
        try:
            assert (await model.complete([], TOOLS, max_tokens=9)).content == "Hello"
        finally:
            await model.aclose()
        assert "stream" not in json.loads(server.requests[0].body)


def test_an_event_of_many_lines_is_read_in_time_that_grows_with_them():
    async def body(text):
        yield b"data: [1,\n" + text.encode()

    def read(text):
        with pytest.raises(NoReply, match="breaks off within an event"):
            asyncio.run(stream.read(body(text), None, stall=60, id_prefix="c"))

    assert growth.fault(read, lambda size: "data: 1,\n" * (size // 9), sizes=(1_024, 8_192, 65_536)) is None


async def test_streams_of_noise_are_read_or_refused(loopback):
    good = b"".join(map(_data, [*SHAPES["Ollama: every index is 0"], *OPENAI]))
    chance = random.Random(5)
    answers = []
    for _ in range(150):
        body = bytearray(good)
        for _ in range(chance.choice((1, 2, 9))):
            at = chance.randrange(len(body))
            body[at : at + chance.randrange(9)] = chance.choice(
                (b"", b"null", b"[]", b"\n", b"data: 3\n\n", b'"', b"\xff")
            )
        answers.append((200, SSE, [bytes(body)]))
    left = iter(answers)
    model = open_model(ModelConfig(name="m", base_url=loopback(lambda _: next(left)).url, patience=0), observer=Seen())
    try:
        for _ in answers:
            try:
                await model.complete([], TOOLS, max_tokens=9)
            except ModelError:
                continue
    finally:
        await model.aclose()
