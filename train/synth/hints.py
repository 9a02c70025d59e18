"""Hints: what a checker knew and told between two tries. They are messages of a role of their own, and leave no trace.

`without_hints` takes them out, `traces` proves that nothing they said is left (Step-DeepResearch, arXiv 2512.20491,
section 3: "clean traces of the hint out of the final trajectory").
"""

from __future__ import annotations

from collections.abc import Sequence

from policy.model import Message
from train.synth import words

__all__ = ["HINT", "hint", "traces", "without_hints"]

HINT = "hint"
_NGRAM = 4
_MENTIONS = frozenset("hint hinted hints checker told".split())
_CJK_MENTIONS = ("根据提示", "提示说", "提示中", "按照提示", "提示指出")


def hint(content: str) -> Message:
    """A hint, which no chat template knows: a trace that still holds one can't be rendered."""
    return {"role": HINT, "content": content, "tool_calls": None, "tool_call_id": None}


def without_hints(messages: Sequence[Message]) -> list[Message]:
    """The trace as it is exported: no hint, and what stood before and behind one as a single turn."""
    out: list[Message] = []
    for message in messages:
        if message["role"] == HINT:
            continue
        if message["role"] == "assistant" and out and out[-1]["role"] == "assistant" and not out[-1].get("tool_calls"):
            out[-1] = {**message, "content": f"{out[-1]['content']}\n\n{message['content'] or ''}".strip()}
        else:
            out.append(message)
    return out


def traces(messages: Sequence[Message], given: Sequence[str] = ()) -> str:
    """What the assistant has of a hint: four of its words in a row, a name that was `given` before a tool or the task
    had it, or a word about hints; "" where there is nothing."""
    known, hinted, is_hinted = "", set[tuple[str, ...]](), False
    for message in messages:
        content = message["content"] or ""
        if message["role"] == HINT:
            hinted |= set(words.ngrams(content, _NGRAM))
            is_hinted = True
        elif message["role"] == "assistant":
            calls = " ".join(call["function"]["arguments"] for call in message.get("tool_calls") or ())
            said = f"{content} {calls}"
            known_grams = set(words.ngrams(known, _NGRAM))
            for gram in words.ngrams(said, _NGRAM):
                if gram in hinted and gram not in known_grams:
                    return f"{' '.join(gram)!r} is the hint's"
            if is_hinted:
                if (name := words.is_named(said, given)) and not words.is_named(known, [name]):
                    return f"{name!r} was known from the hint alone"
                if mention := words.is_named(said, _CJK_MENTIONS) or next(
                    (word for word in words.tokens(content.lower()) if word in _MENTIONS), ""
                ):
                    return f"it speaks of a {mention!r}"
            known += f"\n{said}"
        else:
            known += f"\n{content}"
    return ""
