"""What is attacked, with what, and what it may answer."""

from __future__ import annotations

import gzip
import json
import random
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field

from policy.episode import Episode
from policy.events import Replied, Started
from policy.index import formats
from policy.index.parse import Unreadable
from policy.model import Completion, ToolCall
from policy.models import reply
from policy.models.limits import too_long
from policy.trajectory import record_of, sequences
from policy.whole import loads
from tests.policy.index.made import book, pdf, word

__all__ = ["TARGETS", "Found", "attack"]

_PIECES = [
    b"\0", b"\xff\xfe", b"\xed\xa0\xbd", b'"\\ud83d"', b"[" * 3000, b'{"a":' * 3000, b"(" * 500, b"<<" * 500, b"null",
    b"1e999", b"99999999999999999999", b"NaN", b"-1", b"stream\n", b"endobj", b"/Kids[3 0 R 3 0 R]", b"/Parent 4 0 R",
    b"/Filter/FlateDecode", b"<think>", b"</think>", b"<tool_call>", b"</tool_call>", b"<table>" * 300, b"<div>" * 900,
    b"&#x0;", b"<!--", b"]]>", "\u2028\u202e".encode(), b",,,,\n" * 50, b"\"" * 7, b"=" * 80, b"#" * 400, b"\r",
    b" " * 5000,
]  # fmt: skip


def _mutated(seed: bytes, rng: random.Random) -> bytes:
    """The bytes with one to eight places changed: flipped, cut, doubled, or with a hostile piece put in."""
    data = bytearray(seed)
    for _ in range(rng.randint(1, 8)):
        at = rng.randrange(len(data) + 1)
        until = min(len(data), at + rng.choice((1, 2, 8, 64, 512)))
        match rng.randrange(5):
            case 0:
                data[at:until] = bytes(rng.randrange(256) for _ in range(until - at))
            case 1:
                del data[at:until]
            case 2:
                data[at:at] = data[at:until] * rng.randint(1, 4)
            case 3:
                data[at:at] = rng.choice(_PIECES)
            case 4:
                data[at:until] = rng.choice(_PIECES)
    return bytes(data)


def _file(data: bytes, name: str) -> None:
    try:
        document = formats.read(data, name, "title")
    except Unreadable as error:
        str(error).encode()
        return
    assert document.paragraphs


def _reply(data: bytes, _: str) -> None:
    try:
        completion = reply.read(data, id_prefix="call")
    except reply.NoReply as error:
        str(error).encode()
        return
    _recorded(completion)


def _arguments(data: bytes, _: str) -> None:
    text = data.decode("utf-8", "surrogateescape")
    too_long(400, text)
    _recorded(Completion(tool_calls=(ToolCall("c", text[:30], text),), content=text, thought=text))


def _recorded(completion: Completion) -> None:
    """What a reply becomes: an event, a record, a line of JSON, a conversation for training."""
    episode = Episode.of([Started(id="e", query="q", system="s", model="m", tools=[])])
    episode.apply(Replied(turn=1, message=completion.message(), malformed=list(completion.malformed)))
    line = json.dumps(record_of(episode), ensure_ascii=False).encode()
    assert loads(line)["messages"][2]["role"] == "assistant"
    assert len(list(sequences(loads(line)))) == 1


def _completion(message: dict[str, object]) -> bytes:
    usage = {"prompt_tokens": 5, "completion_tokens": 3}
    return json.dumps({"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}).encode()


_CALL = {"id": "c", "type": "function", "function": {"name": "todo", "arguments": '{"items": ["a", "b"]}'}}
_HERMES = '<think>hm</think>words <tool_call>{"name": "todo", "arguments": {"items": ["a"]}}</tool_call>'
_PAGE = b"<html><head><title>T</title></head><body><h1>Mill</h1><p>The mill grinds after high water.</p></body></html>"
_TABLE = b'place,range\nVoe,2.9\n"Sand\nwick",3.1\n'

TARGETS: dict[str, tuple[Callable[[bytes, str], None], list[tuple[bytes, str]]]] = {
    "pdfs": (_file, [(pdf("The mill grinds after high water."), "a.pdf")]),
    "files": (
        _file,
        [
            (_PAGE, "a.html"), (b"---\ntitle: T\n---\n# Mill\n\nText.\n\n```\n# no\n```\n", "a.md"), (_TABLE, "a.csv"),
            (b'{"tide": {"Voe": [2.9, null]}, "note": "high"}', "a.json"), (b"Mill\n====\n\nText.\n", "a.rst"),
            (word("The mill."), "a.docx"), (book(), "a.epub"), (gzip.compress(b"# A\n\nText."), "a.md.gz"),
        ],
    ),
    "replies": (
        _reply,
        [
            (_completion({"role": "assistant", "content": None, "tool_calls": [_CALL]}), ""),
            (_completion({"role": "assistant", "content": _HERMES}), ""),
            (_completion({"role": "assistant", "content": [{"type": "text", "text": "a"}], "reasoning": "b"}), ""),
        ],
    ),
    "arguments": (_arguments, [(b'{"items": ["a", {"b": [1, 2]}]}', ""), (_HERMES.encode(), "")]),
}  # fmt: skip


@dataclass
class Found:
    """What an attack has found."""

    inputs: int = 0
    slowest: float = 0.0
    failures: list[tuple[bytes, str]] = field(default_factory=list)

    def figures(self) -> dict[str, float]:
        return {"inputs": self.inputs, "failures": len(self.failures), "slowest_seconds": round(self.slowest, 3)}


def attack(name: str, inputs: int, seed: int) -> Found:
    """Gives a target that many inputs, and finds those that it does not bear."""
    target, seeds = TARGETS[name]
    rng = random.Random(f"{name} {seed}")
    found = Found()
    for number in range(inputs):
        data, kind = seeds[number % len(seeds)]
        data = _mutated(data, rng)
        start = time.perf_counter()
        try:
            target(data, kind)
        except Exception:  # noqa: BLE001 - each is a finding, kept with its trace
            found.failures.append((data, traceback.format_exc()))
        found.slowest = max(found.slowest, time.perf_counter() - start)
        found.inputs += 1
    return found
