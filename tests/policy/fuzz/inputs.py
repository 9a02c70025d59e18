"""Hostile inputs for the agent, made of good ones or of nothing."""

from __future__ import annotations

import random
import re

__all__ = ["mutated", "report", "soup", "spliced", "value"]

_PIECES = [
    b"\0", b"\xff\xfe", b"\xed\xa0\xbd", b'"\\ud83d"', b"[" * 3000, b'{"a":' * 3000, b"(" * 500, b"<<" * 500, b"null",
    b"1e999", b"99999999999999999999", b"NaN", b"-1", b"stream\n", b"endobj", b"/Kids[3 0 R 3 0 R]", b"/Parent 4 0 R",
    b"/Filter/FlateDecode", b"<think>", b"</think>", b"<tool_call>", b"</tool_call>", b"<table>" * 300, b"<div>" * 900,
    b"&#x0;", b"<!--", b"]]>", "\u2028\u202e".encode(), b",,,,\n" * 50, b"\"" * 7, b"=" * 80, b"#" * 400, b"\r",
    b" " * 5000,
    b"\xff", b"<", b">", b"&#x110000;", b"&amp", b"-->", b"<![CDATA[", b"<?php", b"<!DOCTYPE x [<!ENTITY a 'b'>]>",
    b"&a;", b'"', b"'", b"=", b"\xfe\xff", b"\xe2\x80\xae", b"<plaintext>", b"</html>", b"<meta charset=utf-7>",
    b"\n---\n", b"```\n", b"|---|\n", b"===\n", b"{", b"[",
]  # fmt: skip
_TAGS = (
    "div p table tr td ul li a b svg math script style template form select iframe h1 pre blockquote br html body"
).split()
_OF_REPORTS = [
    "\\cite{mill#1}", "\\cite{a\\_b#2;mill}", "[mill#1]", "`", "``", "```\n", "~~~\n", "$", "$$\n", "\\(", "\\)",
    "\\[", "{", "}", "\\frac{1}{2}", "\\href{javascript:x}{y}", "**", "_", "![x](y.png)", "[x](javascript:y)",
    "<script>", "| a | b |\n", "|---|---|\n", "# T\n", "> ", "- ", "\n\n", "\ue000", "\ue001", "&#x6A;", "word ",
    "\\", "$5 ", "1. ", "\t", "\u2028", "]", "[",
]  # fmt: skip


def mutated(data: bytes, chance: random.Random) -> bytes:
    """The bytes with one to twelve places changed: noise, cut, doubled, or with a hostile piece put in or in place."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 8, 12))):  # what is broken in one place gets furthest
        at = chance.randrange(len(changed) + 1)
        until = min(len(changed), at + chance.choice((1, 2, 8, 64, 300)))
        match chance.randrange(6):
            case 0:
                changed[at:until] = bytes(chance.randrange(256) for _ in range(until - at))
            case 1:
                del changed[at:until]
            case 2:
                changed[at:at] = changed[at:until] * chance.randint(1, 4)
            case 3:
                changed[at:at] = changed[: chance.randrange(300)]
            case 4:
                changed[at:at] = _piece(chance)
            case 5:
                changed[at:until] = _piece(chance)
    return bytes(changed)


def _piece(chance: random.Random) -> bytes:
    piece = chance.choice(_PIECES)
    return piece * chance.choice((1, 1, 10, 500)) if len(piece) < 40 else piece


def report(chance: random.Random) -> str:
    """Markdown with citations, mathematics and code, of little sense."""
    if chance.random() < 0.02:
        return chance.choice(_OF_REPORTS) * chance.randrange(1000, 5000)
    return "".join(chance.choice(_OF_REPORTS) for _ in range(chance.randrange(1, 120)))


def spliced(data: bytes, chance: random.Random) -> bytes:
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


def soup(chance: random.Random) -> bytes:
    """A page of tags that open and close as they like."""
    if chance.random() < 0.05:
        return b"<html><body>" + f"<{chance.choice(_TAGS)}>text ".encode() * chance.choice([100, 1000, 5000])
    parts = []
    for _ in range(chance.randrange(5, 200)):
        tag = chance.choice(_TAGS)
        parts.append(
            chance.choice([f"<{tag}>", f"</{tag}>", f'<{tag} {tag}="{"x" * chance.randrange(50)}">', "Some words. "])
        )
    return f"<html><head><title>T</title></head><body>{''.join(parts)}".encode()


def value(chance: random.Random, depth: int) -> object:
    """A value of JSON types, with names that replies have."""
    simple = [None, True, 3, 1e300, "", "text", "https://a.org/x", "http://[", "\ud83d", "<b>x", "https://a.org/\ud83d"]
    if depth == 0 or chance.random() < 0.3:
        return chance.choice(simple)
    if chance.random() < 0.4:
        return [value(chance, depth - 1) for _ in range(chance.randrange(4))]
    names = ["results", "web", "type", "url", "title", "content", "description", "esearchresult", "idlist"]
    return {name: value(chance, depth - 1) for name in chance.sample(names, chance.randrange(6))}
