"""`python -m tests.policy.generated [--inputs 10000]`: hostile inputs for what the agent reads; the tests run few.

    pages      HTML, Markdown and plain bytes, mutated: read, or refused as unreadable
    replies    what search services might send: read, or refused as a bad reply
    reports    Markdown with citations, mathematics and code: resolved and laid out as a page without anything active
    patches    anchors that say the same or something else, against an oracle (`tests.policy.workspace.edits`)

Prints one line of JSON a kind, and ends with 1 where there was a crash, damage, or an input that took over a second
of the processor.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import time
from collections.abc import Callable, Iterator
from importlib.resources import files

from policy.index.parse import Unreadable, parse_bytes
from policy.page import to_html
from policy.report import resolve, to_markdown
from policy.sources import Source, Sources
from policy.web import replies
from tests.policy.web.recorded import ARTICLES, ATOM, DUCK, IDS
from tests.policy.workspace import edits

SECONDS = 1.0
_TAGS = (
    "div p table tr td ul li a b svg math script style template form select iframe h1 pre blockquote br html body"
).split()
_SPLICES = [
    b"\x00", b"\xff", b"\xed\xa0\xbd", b"<", b">", b"&#x110000;", b"&amp", b"<!--",
    b"-->", b"<![CDATA[", b"]]>", b"<?php",
    b"<!DOCTYPE x [<!ENTITY a 'b'>]>",
    b"&a;", b'"', b"'", b"=", b"\xfe\xff", b"\xe2\x80\xae", b"<plaintext>", b"</html>",
    b"<meta charset=utf-7>", b"\n---\n", b"```\n", b"|---|\n", b"===\n", b"{", b"[", b"null", b"1e999", b'"\\ud83d"',
]  # fmt: skip


def pages(number: int, seed: int) -> Iterator[Callable[[], str]]:
    chance = random.Random(seed)
    corpus = files("policy").joinpath("corpus/science")
    seeds = [corpus.joinpath(name).read_bytes() for name in ("fiddle.html", "tides.md", "lichens.txt")]
    for _ in range(number):
        kind = chance.randrange(3)
        data = _soup(chance) if chance.random() < 0.4 else _mutated(chance.choice(seeds), chance)
        suffix = (".html", ".md", ".txt")[kind] if chance.random() < 0.3 else ".html"
        charset = chance.choice(["", "utf-8", "utf-16", "latin-1", "gb2312", "nonsense", "idna", "punycode", "utf-7"])
        yield lambda data=data, suffix=suffix, charset=charset: _page(data, suffix, charset)


def _page(data: bytes, suffix: str, charset: str) -> str:
    try:
        document = parse_bytes(data, suffix, "given", charset)
    except Unreadable:
        return ""
    return "" if all(one.text.strip() for one in document.paragraphs) else "an empty paragraph"


def results(number: int, seed: int) -> Iterator[Callable[[], str]]:
    chance = random.Random(seed)
    rows = [{"title": "A", "url": "https://a.org/x", "description": "About <b>mills</b>", "content": "About mills"}]
    plain = json.dumps({"web": {"results": rows}, "results": rows}).encode()
    seeds = {"brave": plain, "tavily": plain, "searxng": plain, "duckduckgo": DUCK, "arxiv": ATOM, "pubmed": ARTICLES}
    for _ in range(number):
        provider = chance.choice([*seeds, "ids"])
        data = _mutated(seeds.get(provider, IDS), chance)
        if provider in ("brave", "tavily", "searxng", "ids"):
            # Most in the right envelope, so that what is read of a row meets them too.
            odd = [_value(chance, 3) for _ in range(chance.randrange(5))]
            envelope = {"web": {"results": odd}, "results": odd, "esearchresult": {"idlist": odd}}
            match chance.randrange(5):
                case 0:
                    data = json.dumps(_value(chance, 4)).encode()
                case 1 | 2 | 3:
                    data = json.dumps(envelope).encode()
        elif chance.random() < 0.5:
            data = _spliced(seeds[provider], chance)
        yield lambda provider=provider, data=data: _reply(provider, data)


def _reply(provider: str, data: bytes) -> str:
    try:
        found = replies.pubmed_ids(data) if provider == "ids" else replies.read(provider, data)
    except replies.BadReply:
        return ""
    for source in found:
        if isinstance(source, Source) and not re.fullmatch(r"[^{}\\,;#\s]+#0", source.key):
            return f"a key that can't be cited: {source.key!r}"
    return ""


def reports(number: int, seed: int) -> Iterator[Callable[[], str]]:
    chance = random.Random(seed)
    sources = Sources()
    sources.add(Source("mill#1", "</h3><script>x</script>", "javascript:x", "<img src=x onerror=y>"))
    sources.add(Source("a_b#2", "B", "https://a.org/?a=1&b=2", "Text."))
    pieces = [
        "\\cite{mill#1}", "\\cite{a\\_b#2;mill}", "[mill#1]", "`", "``", "```\n", "~~~\n", "$", "$$\n", "\\(", "\\)",
        "\\[", "{", "}", "\\frac{1}{2}", "\\href{javascript:x}{y}", "**", "_", "![x](y.png)", "[x](javascript:y)",
        "<script>", "| a | b |\n", "|---|---|\n", "# T\n", "> ", "- ", "\n\n", "\ue000", "\ue001", "&#x6A;", "word ",
        "\\", "$5 ", "1. ", "\t", "\u2028", "]", "[",
    ]  # fmt: skip
    for _ in range(number):
        text = "".join(chance.choice(pieces) for _ in range(chance.randrange(1, 120)))
        if chance.random() < 0.02:
            text = chance.choice(pieces) * chance.randrange(1000, 5000)
        yield lambda text=text: _report(text, sources)


def _report(text: str, sources: Sources) -> str:
    resolved = resolve(text, sources)
    to_markdown(resolved)
    page = to_html(resolved, "T")
    active = re.search(r"<(?:script|img|iframe|object)\b|<[^>]*\s(?:on\w+|style)=|href=\"javascript", page.lower())
    return f"something active: {active.group()!r}" if active else ""


def patches(number: int, seed: int) -> Iterator[Callable[[], str]]:
    for edit in edits.generated(number, seed):
        yield lambda edit=edit: edits.check(edit)


KINDS = {"pages": pages, "replies": results, "reports": reports, "patches": patches}


def faults(kind: str, number: int, seed: int) -> list[str]:
    """What is wrong with how so many inputs of a kind were dealt with."""
    found = []
    for place, attempt in enumerate(KINDS[kind](number, seed)):
        start = time.process_time()
        try:
            fault = attempt()
        except Exception as error:  # noqa: BLE001  whatever it is, it is what is looked for
            fault = f"{type(error).__name__}: {error}"
        took = time.process_time() - start
        if not fault and took > SECONDS:
            fault = f"took {took:.1f} s"
        if fault:
            found.append(f"{kind} {seed}/{place}: {fault[:300]}")
    return found


def _mutated(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.randrange(1, 12)):
        at = chance.randrange(len(changed) + 1)
        match chance.randrange(5):
            case 0:
                changed[at:at] = chance.choice(_SPLICES)
            case 1:
                del changed[at : at + chance.randrange(200)]
            case 2:
                changed[at:at] = changed[: chance.randrange(300)]
            case 3:
                changed[at : at + 1] = bytes([chance.randrange(256)])
            case 4:
                changed[at:at] = chance.choice(_SPLICES) * chance.choice([1, 10, 500])
    return bytes(changed)


def _spliced(data: bytes, chance: random.Random) -> bytes:
    """The reply with its words changed, and its form kept."""
    words = [
        b"&lt;script&gt;",
        b"&amp;#x0;",
        b"http://[",
        b"x" * 5000,
        "\u202e水".encode(),
        b"",
        b"{}",
        b"&#8238;",
        b"../..",
    ]
    parts = re.split(rb"(?<=>)([^<>]+)(?=<)", data)
    return b"".join(chance.choice(words) if n % 2 and chance.random() < 0.4 else part for n, part in enumerate(parts))


def _soup(chance: random.Random) -> bytes:
    if chance.random() < 0.05:
        return b"<html><body>" + f"<{chance.choice(_TAGS)}>text ".encode() * chance.choice([100, 1000, 5000])
    parts = []
    for _ in range(chance.randrange(5, 200)):
        tag = chance.choice(_TAGS)
        parts.append(
            chance.choice([f"<{tag}>", f"</{tag}>", f'<{tag} {tag}="{"x" * chance.randrange(50)}">', "Some words. "])
        )
    return f"<html><head><title>T</title></head><body>{''.join(parts)}".encode()


def _value(chance: random.Random, depth: int) -> object:
    simple = [None, True, 3, 1e300, "", "text", "https://a.org/x", "http://[", "\ud83d", "<b>x", "https://a.org/\ud83d"]
    if depth == 0 or chance.random() < 0.3:
        return chance.choice(simple)
    if chance.random() < 0.4:
        return [_value(chance, depth - 1) for _ in range(chance.randrange(4))]
    names = ["results", "web", "type", "url", "title", "content", "description", "esearchresult", "idlist"]
    return {name: _value(chance, depth - 1) for name in chance.sample(names, chance.randrange(6))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", help=f"default: {' '.join(KINDS)}")
    parser.add_argument("--inputs", type=int, default=10_000, help="of each")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    wrong = False
    for kind in args.kinds or KINDS:
        start = time.monotonic()
        found = faults(kind, args.inputs, args.seed)
        wrong |= bool(found)
        seconds = round(time.monotonic() - start, 1)
        print(json.dumps({"kind": kind, "inputs": args.inputs, "seconds": seconds, "faults": found[:20]}))
    raise SystemExit(int(wrong))


if __name__ == "__main__":
    main()
