"""What is attacked, with what, and what it may answer."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import re
from collections.abc import AsyncIterator, Callable, Iterator
from functools import cache
from importlib.resources import files
from typing import Any

from policy.episode import Episode
from policy.events import Replied, Started
from policy.index import formats
from policy.index.parse import Unreadable, parse_bytes
from policy.model import Completion, ToolCall
from policy.models import reply, stream
from policy.models.limits import too_long
from policy.page import to_html
from policy.report import resolve, to_markdown
from policy.sources import Source, Sources
from policy.trajectory import record_of, sequences
from policy.web import replies
from policy.whole import loads
from tests.policy.fuzz.attack import Target
from tests.policy.fuzz.calls import Calls, calls
from tests.policy.fuzz.commands import Shells, commands
from tests.policy.fuzz.inputs import mutated, report, soup, spliced, value
from tests.policy.index.made import book, pdf, sheets, slides, word
from tests.policy.web.recorded import ARTICLES, ATOM, DUCK, IDS
from tests.policy.workspace import edits

__all__ = ["TARGETS"]


def _file(given: tuple[bytes, str]) -> None:
    data, name = given
    try:
        document = formats.read(data, name, "title")
    except Unreadable as error:
        str(error).encode()
        return
    assert document.paragraphs


def _page(given: tuple[bytes, str, str]) -> None:
    data, suffix, charset = given
    try:
        document = parse_bytes(data, suffix, "given", charset)
    except Unreadable:
        return
    assert all(one.text.strip() for one in document.paragraphs), "an empty paragraph"


def _reply(data: bytes) -> None:
    try:
        completion = reply.read(data, id_prefix="call")
    except reply.NoReply as error:
        str(error).encode()
        return
    _recorded(completion)


def _stream(data: bytes) -> None:
    whole, cut = (asyncio.run(_streamed(data, size)) for size in (len(data) or 1, 5))
    assert whole == cut, "it depends on where the stream is cut"
    if isinstance(whole, Completion):
        _recorded(whole)


async def _streamed(data: bytes, size: int) -> Completion | str:
    async def chunks() -> AsyncIterator[bytes]:
        for at in range(0, len(data), size):
            yield data[at : at + size]

    try:
        return await stream.read(chunks(), None, stall=60, id_prefix="call")
    except reply.NoReply as error:
        str(error).encode()
        return str(error)


def _events(*deltas: dict[str, object]) -> bytes:
    """A stream of these."""
    chunks = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    end = {"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 5, "completion_tokens": 3}}
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in [*chunks, end]) + b"data: [DONE]\n\n"


def _arguments(data: bytes) -> None:
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


def _results(given: tuple[str, bytes]) -> None:
    provider, data = given
    try:
        found = replies.pubmed_ids(data) if provider == "ids" else replies.read(provider, data)
    except replies.BadReply:
        return
    for source in found:
        if isinstance(source, Source):
            assert re.fullmatch(r"[^{}\\,;#\s]+#0", source.key), f"a key that can't be cited: {source.key!r}"


@cache
def _sources() -> Sources:
    sources = Sources()
    sources.add(Source("mill#1", "</h3><script>x</script>", "javascript:x", "<img src=x onerror=y>"))
    sources.add(Source("a_b#2", "B", "https://a.org/?a=1&b=2", "Text."))
    return sources


def _report(text: str) -> None:
    resolved = resolve(text, _sources())
    to_markdown(resolved)
    page = to_html(resolved, "T")
    active = re.search(r"<(?:script|img|iframe|object)\b|<[^>]*\s(?:on\w+|style)=|href=\"javascript", page.lower())
    assert active is None, f"something active: {active.group()!r}"


def _patch(edit: edits.Edit) -> None:
    fault = edits.check(edit)
    assert not fault, fault


def _mutations(*seeds: Any) -> Callable[[int, int], Iterator[Any]]:
    """Each seed in its turn, mutated; of a tuple the first part, the bytes."""

    def inputs(number: int, seed: int) -> Iterator[Any]:
        chance = random.Random(seed)
        for turn in range(number):
            good = seeds[turn % len(seeds)]
            yield mutated(good, chance) if isinstance(good, bytes) else (mutated(good[0], chance), *good[1:])

    return inputs


def _pages(number: int, seed: int) -> Iterator[tuple[bytes, str, str]]:
    chance = random.Random(seed)
    corpus = files("policy").joinpath("corpus/science")
    seeds = [corpus.joinpath(name).read_bytes() for name in ("fiddle.html", "tides.md", "lichens.txt")]
    charsets = ["", "utf-8", "utf-16", "latin-1", "gb2312", "nonsense", "idna", "punycode", "utf-7"]
    for _ in range(number):
        data = soup(chance) if chance.random() < 0.4 else mutated(chance.choice(seeds), chance)
        yield data, chance.choice([".html"] * 5 + [".md", ".txt"]), chance.choice(charsets)


def _answers(number: int, seed: int) -> Iterator[tuple[str, bytes]]:
    chance = random.Random(seed)
    rows = [{"title": "A", "url": "https://a.org/x", "description": "About <b>mills</b>", "content": "About mills"}]
    plain = json.dumps({"web": {"results": rows}, "results": rows}).encode()
    marked = {"duckduckgo": DUCK, "arxiv": ATOM, "pubmed": ARTICLES}
    seeds = {"brave": plain, "tavily": plain, "searxng": plain, "ids": IDS, **marked}
    for _ in range(number):
        provider = chance.choice([*seeds])
        data = mutated(seeds[provider], chance)
        if provider in marked:
            if chance.random() < 0.5:
                data = spliced(seeds[provider], chance)
        else:
            # Most in the right envelope, so that what is read of a row meets them too.
            odd = [value(chance, 3) for _ in range(chance.randrange(5))]
            envelope = {"web": {"results": odd}, "results": odd, "esearchresult": {"idlist": odd}}
            match chance.randrange(5):
                case 0:
                    data = json.dumps(value(chance, 4)).encode()
                case 1 | 2 | 3:
                    data = json.dumps(envelope).encode()
        yield provider, data


def _reports(number: int, seed: int) -> Iterator[str]:
    chance = random.Random(seed)
    return (report(chance) for _ in range(number))


TARGETS = {
    "pdfs": Target(_mutations((pdf("The mill grinds after high water."), "a.pdf")), _file),
    "files": Target(
        _mutations(
            (_PAGE, "a.html"), (b"---\ntitle: T\n---\n# Mill\n\nText.\n\n```\n# no\n```\n", "a.md"), (_TABLE, "a.csv"),
            (b'{"tide": {"Voe": [2.9, null]}, "note": "high"}', "a.json"), (b"Mill\n====\n\nText.\n", "a.rst"),
            (word("The mill."), "a.docx"), (slides(), "a.pptx"), (sheets(), "a.xlsx"), (book(), "a.epub"),
            (gzip.compress(b"# A\n\nText."), "a.md.gz"),
        ),
        _file,
    ),
    "pages": Target(_pages, _page, seconds=1),
    "results": Target(_answers, _results, seconds=1),
    "replies": Target(
        _mutations(
            _completion({"role": "assistant", "content": None, "tool_calls": [_CALL]}),
            _completion({"role": "assistant", "content": _HERMES}),
            _completion({"role": "assistant", "content": [{"type": "text", "text": "a"}], "reasoning": "b"}),
        ),
        _reply,
    ),
    "streams": Target(
        _mutations(
            _events({"reasoning": "h"}, {"content": "w"},
                    {"tool_calls": [{"index": 0, **_CALL}, {**_CALL, "id": "d"}]}),
            _events({"tool_calls": [_CALL]}, {"tool_calls": [{"function": {"arguments": "{}"}}]}, {"content": "😀"}),
            _events({"content": _HERMES}).replace(b"\n", b"\r\n"),
            b'event: error\ndata: {"message": "boom", "code": 400}\n\n',
        ),
        _stream,
        seconds=1,
    ),
    "arguments": Target(_mutations(b'{"items": ["a", {"b": [1, 2]}]}', _HERMES.encode()), _arguments),
    "reports": Target(_reports, _report, seconds=1),
    "patches": Target(edits.generated, _patch, seconds=1),
    "calls": Target(calls, (_CALLS := Calls()).bear, close=_CALLS.close),
    "commands": Target(commands, (_SHELLS := Shells()).bear, close=_SHELLS.close),
}  # fmt: skip
