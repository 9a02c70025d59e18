"""Every detector, parser and piece of advice takes time in proportion to its text, whatever the text is.

A new one takes a line in `READERS`. What its patterns alone do is tested without one, by `test_patterns`.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from judger.agreement.baselines import TOKEN
from judger.cli import table
from judger.engines.explained import find_quote, parse_reply
from judger.engines.mini import counts, criterion, form, language, layout, needs, rules, signals
from judger.engines.mini.text import plain, sentences
from judger.prompt import LabelWords
from judger.prompt.fence import FenceKey, break_marks
from judger.rubric.linting.lint import lint
from judger.rubric.place import Faults
from judger.rubric.strict_json import Parser, scan
from judger.steering import FlagFinder, find_flags, prepare
from judger.types import Case, Criterion
from policy import context, report
from policy.errors import ToolError
from policy.index import parse, tokens
from policy.models import hermes
from policy.sources import Sources
from policy.tools.todo import Todo
from policy.web.fetch import page_key
from policy.workspace import patch
from tests.linear.growth import SIZES, fault
from tests.linear.texts import SINGLE, Make, repeated, texts

CRITERIA = ("The report names the two largest rivers of Scotland.", "The report says what a bridge over them costs.")
LONGER = {
    "patch, long anchor": (12_000, 96_000),  # beyond what is fitted as a whole
}
"""Characters of the texts for readers that take more than linear time up to a bound."""
PAIRED = (" ", "\n", "a", "#", ">", "-", "[", "`", "0", "\u0301")


def flags(text: str, criteria: tuple[str, ...] = CRITERIA) -> tuple[str, ...]:
    found = tuple(Criterion(id=f"c{i}", text=text) for i, text in enumerate(criteria))
    return find_flags(Case(id="", query="", report=text, criteria=found))


def patched(text: str, anchor: str) -> None:
    with contextlib.suppress(ToolError):
        patch.locate(text, anchor)


COUNTS = counts.Counts.of("A report.")
READERS: dict[str, Callable[[str], Any]] = {
    "steering": flags,
    "steering, odd text": lambda text: flags("\u200b" + text),
    "steering, of criteria": lambda text: flags("a report", (text, text + ".")),
    "fence line": FenceKey(b"secret" * 6).line,
    "chat marks": break_marks,
    "lint": lambda text: lint([Criterion(id="c", text=text, weight=w) for w in (1.0, -1.0)]),
    "json": lambda text: Parser(Faults("", lambda _: None)).parse(text, 1),
    "json string": lambda text: scan(f'"{text}'),
    "reply": parse_reply,
    "reply with a verdict": lambda text: parse_reply(f"Reason: a\nQuote: {text}\nVerdict: {text}", LabelWords()),
    "quote": lambda text: find_quote(text, f"The quick {text[:300]} fox."),
    "mini: layout": layout.read_layout,
    "mini: heading": lambda text: layout.read_layout(f"# {text}x"),
    "mini: form": signals.form_signals,
    "mini: counts": counts.Counts.of,
    "mini: sources": lambda text: counts.Counts.of(f"A [1].\n\n## References\n{text}\n[1] {text}"),
    "mini: rule and need": lambda text: (rules.ruled(text, COUNTS), needs.needs(f"cites {text}", COUNTS)),
    "mini: criterion about form": lambda text: form.form_criterion(f"has {text} tables"),
    "mini: criterion": criterion.read,
    "mini: numbers, names and words": lambda text: (
        criterion.numbers(text), criterion.names(text), criterion.words(text), criterion.is_negated(text)
    ),
    "mini: markup": plain,
    "mini: sentences": sentences,
    "baselines": TOKEN.findall,
    "table": lambda text: table.MARKERS.sub("", table.clean(text)),
    "markdown": lambda text: parse.parse_markdown(text, "title"),
    "front matter": lambda text: parse.parse_markdown(f"---\ntitle: {text}x\n---\n{text}", "title"),
    "heading": lambda text: parse.parse_markdown(f"# {text}x\n", "title"),
    "query": lambda text: (tokens.segment(text), tokens.query_terms(text)),
    "observation": lambda text: context.shorten(context.clean(text), text[:100], "handle", 1_000),
    "tool call": hermes.parse,
    "tool call, cut off": lambda text: hermes.parse(f"<think>{text}</think><tool_call>{text}"),
    "citations": lambda text: report.resolve(f"a{text}b \\cite{{{text}", Sources()),
    "todo": lambda text: Todo(max_chars=10**6).todo([f"[ ]{text}x"]),
    "page key": lambda text: page_key(f"http://a/{text.translate({91: None, 93: None})}"),
    "patch": lambda text: patched(text, "The wheel of the mill is made of oak and of nothing else."),
    "patch, anchor": lambda text: patched("The wheel is of oak. " * 20, text),
    "patch, elided": lambda text: patched("The wheel is of oak. " * 20, f"The wheel{text}...{text} of oak."),
    "patch, long anchor": lambda text: patched(text, f"{text[:-9]}something else, and then {text[9:]}"),
}  # fmt: skip

PIECES = (
    "=====",
    ">>>>> ",
    "verdict :\n",
    "reason:\nquote:\n",
    "ignore judge ",
    "<|",
    "[INST",
    '"role":',
    "c1: ",
    "i.e. a, ",
    "and explains ",
    "e.g. (",
    "The report ",
    "\\cite{",
    "<tool_call>",
    "</think>",
    "title:",
    "---\n",
    "# a\n",
    "\n> ",
    "![a](",
    "[a](b",
    "**a",
    "$a",
    "`a",
    "<a ",
    "<h1",
    "| - ",
    "https://",
    "- https://a",
    "1. ",
    "[1]",
    "(Lee, 2020",
    "...",
    '\\"',
    '{"a":',
    "\x1b]",
    "\U0001d4d0\U0001d4d0\U0001d4d0 ",
    "a\u0301\u0316",
    "a\u200b",
    "\u0430b",
    "\ufdfa",
    "\uff9e\u0301",
)
"""What the readers themselves look for."""


def family() -> Iterator[tuple[str, Make]]:
    """Runs of every character that matters, pairs of some, and `PIECES`."""
    yield from texts(SINGLE, pairs=PAIRED)
    for piece in PIECES:
        yield repr(piece), repeated(piece)
        yield f"{piece!r}, ended", repeated(piece, tail="\x01x")


@pytest.mark.parametrize("name", READERS)
def test_time_grows_with_the_text_and_no_faster(name: str) -> None:
    read = READERS[name]
    read("a first text")  # what is made once is no growth
    found = ((text, fault(read, make, LONGER.get(name, SIZES))) for text, make in family())
    assert list(itertools.islice(((text, reason) for text, reason in found if reason), 3)) == []


@pytest.mark.parametrize("piece", ["a", ".", "<", "`", "- https://a\n", "\ufdfa"])
def test_the_language_of_a_long_text_is_told_from_windows_of_it(piece: str) -> None:
    start = time.thread_time()
    language.unsupported_language(piece * (2**20 // len(piece)))
    assert time.thread_time() - start < 5


WORST = {
    "dashes": "–" * (2**21 // 3),
    "verdicts": "verdict :\n" * (2**21 // 10),
    "quotes": ">" * (2**21 - 1) + "x",
    "fences": "===== a\n" * 2**18,
    "styled letters": "\U0001d4d0" * 2**19,
    "combining marks": "\u200ba" + "\u0301\u0316" * 2**19,
    "ligatures": "\U0001d4d0" + "\ufdfa" * (2**21 // 3),
    "mixed words": "a\u0430" * (2**21 // 3),
    "brackets": "<\u200b" * 2**19,
    "anchors": "ignore judge full criteria rubric verdict " * (2**21 // 43),
}
"""Reports of 2 MiB, the most that is taken."""


@pytest.mark.parametrize("name", WORST)
async def test_a_report_that_is_looked_through_never_stops_the_loop_for_a_second(name: str) -> None:
    prepare()
    case = Case(id="", query="", report=WORST[name], criteria=())
    start = last = time.process_time()  # CPU of this process, so that others on the machine do not count
    longest = 0.0
    search = asyncio.create_task(FlagFinder().find(case))
    while not search.done():
        await asyncio.sleep(0.001)
        longest, last = max(longest, time.process_time() - last), time.process_time()
    await search
    assert longest < 1
    assert time.process_time() - start < 30
