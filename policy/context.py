"""What enters the model's context: cleaned observations, extractive summaries of long ones, compacted histories. Pure.

Step-DeepResearch (arXiv 2512.20491, section 5) stores a long tool result in a file and lets the agent read on demand.
The summaries are extracts, so that nothing stands in them that the source does not say.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from policy import bundled
from policy.index.tokens import query_terms
from policy.model import Message
from policy.sources import Sources
from policy.whole import loads

__all__ = ["clean", "compaction", "estimate_tokens", "shorten", "summary_request"]

_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
# Controls, surrogates, direction overrides, and the invisible tag characters that carry hidden instructions.
_HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]")
# What chat templates read as structure: a page must not be able to end its own turn or call a tool.
_STRUCTURE = re.compile(
    r"<(?=\|[\w▁-]{1,40}\|>|｜|/?(?:tool_call|tool_response|tool_calls|tools|think|function_calls?|s)>)", re.IGNORECASE
)
_KEY = re.compile(r"[\w.-]{1,90}#\d{1,6}")
_SCAN_CHARS = 200_000


def clean(text: str) -> str:
    """The text without what could act on a terminal, a chat template or a reader who cannot see it."""
    text = _ESCAPE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return _STRUCTURE.sub("‹", _HIDDEN.sub("", text))


def estimate_tokens(message: Message) -> int:
    """About how many tokens a message takes: four ASCII characters, or one other, to the token. A picture is not
    counted."""
    text = message.get("content") or ""
    if isinstance(text, list):
        text = "".join(part.get("text", "") for part in text)
    for call in message.get("tool_calls") or ():
        text += call["function"]["name"] + call["function"]["arguments"]
    others = 0 if text.isascii() else len(text) - len(text.encode("ascii", "ignore"))
    return (len(text) - others) // 4 + others + 8


def shorten(text: str, focus: str, handle: str, most: int) -> str:
    """The lines of a long text that have most to do with `focus`, with their numbers in the file `handle`."""
    terms = set(query_terms(focus))
    lines = text[:_SCAN_CHARS].splitlines()
    scored: list[tuple[float, int]] = []
    for number, line in enumerate(lines):
        words = query_terms(line[:2000])
        if words:
            overlap = len(terms.intersection(words))
            scored.append((overlap / (1 + len(words)) ** 0.5 + (0.2 if number < 3 else 0.0), number))
    chosen: list[int] = []
    room = most
    for _, number in sorted(scored, key=lambda pair: (-pair[0], pair[1])):
        cost = min(len(lines[number]), 400) + 8
        if cost > room:
            if room < 80:
                break
            continue
        chosen.append(number)
        room -= cost
    shown = [f"{number + 1}: {_cut(lines[number], 400)}" for number in sorted(chosen)]
    total = text.count("\n") + 1
    head = (
        f"[This result has {len(text):,} characters, {total} lines. It is stored whole in the file {handle}; read it "
        f"with the file tool, by lines. {len(shown)} of its lines, with their numbers:]"
    )
    return "\n".join([head, *shown])


def compaction(
    messages: Sequence[Message],
    keep_from: int,
    todo: str,
    sources: Sources,
    files: Sequence[str],
    most: int,
    written: str = "",
) -> Message:
    """One message that stands for `messages[2:keep_from]`: plan, findings, sources, files, and what was done, which the
    model may have `written`. About `most` characters, a written summary not counted."""
    parts = [
        "[To save room, earlier turns were taken out of this conversation. The question above still stands. "
        "What is left of them:]"
    ]
    if todo:
        parts.append(f"Your plan:\n{todo}")
    if learned := _findings(messages, keep_from, sources):
        # The latest are listed first where there is not room for all.
        parts.append(_listed("What you have learned, the latest first:", learned[::-1], most * 3 // 8))
    if len(sources):
        parts.append(_listed("Sources seen, by the key to cite or open them by:", _source_lines(sources), most // 4))
    if files:
        parts.append(_listed("Files in your workspace:", list(files), most // 8))
    if written:
        parts.append(f"What you wrote down of what was done:\n{written}")
        return {"role": "user", "content": "\n\n".join(parts)}
    done = [line for message in messages[2:keep_from] if (line := _deed(message))]
    # The latest deeds matter most, so the earliest go first.
    kept: list[str] = []
    room = most // 4
    for line in reversed(done):
        if len(line) > room:
            kept.append(f"({len(done) - len(kept)} earlier steps left out)")
            break
        kept.append(line)
        room -= len(line)
    parts.append("What you did, in order:\n" + "\n".join(reversed(kept)))
    return {"role": "user", "content": "\n\n".join(parts)}


def summary_request(words: int) -> str:
    """What the model is asked for where it writes the summary itself."""
    return bundled.prompt("compaction.txt").strip().format(words=words)


def _findings(messages: Sequence[Message], keep_from: int, sources: Sources) -> list[str]:
    """What the model noted, and what it said of a source by its key, in order, each once."""
    found: dict[str, None] = {}
    for number, message in enumerate(messages[2:], 2):
        if message["role"] != "assistant":
            continue
        answers = _answers(messages, number)
        for call in message.get("tool_calls") or ():
            # Those that were refused were told so.
            if call["function"]["name"] == "note" and answers.get(call["id"], "").startswith("Noted"):
                found.update(dict.fromkeys(f"- {one}" for one in _noted(call["function"]["arguments"])))
        if number < keep_from:
            said = f"{message.get('reasoning_content') or ''}\n{message.get('content') or ''}"
            for sentence in re.split(r"(?<=[.!?。！？])\s+|\n", said[:20_000]):
                keys = _KEY.findall(sentence)
                if keys and len(sentence) <= 600 and any(sources.get(key) is not None for key in keys):
                    found.setdefault(f"- {sentence.strip()}")
    return list(found)


def _answers(messages: Sequence[Message], number: int) -> dict[str, str]:
    """What came of the calls of one reply, by their ids, which other turns may use again."""
    answers = {}
    for message in messages[number + 1 :]:
        if message["role"] == "assistant":
            break
        if message["role"] == "tool":
            answers[message["tool_call_id"]] = str(message.get("content"))
    return answers


def _noted(arguments: str) -> list[str]:
    try:
        read = loads(arguments)
    except ValueError:
        return []
    findings = read.get("findings") if isinstance(read, dict) else None
    if isinstance(findings, str):
        return [findings]
    return (
        [one.strip() for one in findings if isinstance(one, str) and one.strip()] if isinstance(findings, list) else []
    )


def _source_lines(sources: Sources) -> list[str]:
    by_document: dict[str, list[str]] = {}
    titles: dict[str, str] = {}
    for source in sources:
        document, _, number = source.key.partition("#")
        by_document.setdefault(document, []).append(number)
        titles[document] = source.title
    return [
        f"{document} ({titles[document]}): paragraphs {', '.join(sorted(numbers, key=lambda n: (len(n), n)))}"
        for document, numbers in by_document.items()
    ]


def _listed(head: str, lines: list[str], most: int) -> str:
    shown: list[str] = []
    for line in lines:
        if len(line) > most:
            shown.append(f"and {len(lines) - len(shown)} more")
            break
        shown.append(line)
        most -= len(line) + 1
    return "\n".join([head, *shown])


def _deed(message: Message) -> str:
    if message["role"] != "assistant":
        return ""
    thought = message.get("reasoning_content") or message.get("content") or ""
    first = _cut(re.split(r"(?<=[.!?。！？])\s+", thought.strip(), maxsplit=1)[0], 200)
    calls = [
        f"{call['function']['name']}({_cut(call['function']['arguments'], 120)})"
        for call in message.get("tool_calls") or ()
    ]
    return "- " + " ".join(part for part in (first, "; ".join(calls)) if part)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"
