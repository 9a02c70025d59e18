"""Reads what an endpoint answered. It may be anything: what is not a chat completion is `NoCompletion`, never a crash.

Pure functions from bytes to an outcome. Only a reply of exactly the asked form counts; the rest is UNPARSABLE.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

from judger.config import Way
from judger.engines.base import Outcome
from judger.engines.explained import explained_outcome, label_mass, parse_reply
from judger.prompt import CUE, LabelWords, PairWords
from judger.types import Case, Probabilities, Reason, Unscored

__all__ = ["Completion", "NoCompletion", "Token", "read_completion", "read_reply", "whole"]

CERTAIN = (Probabilities(1.0, 0.0, 0.0), Probabilities(0.0, 1.0, 0.0), Probabilities(0.0, 0.0, 1.0))
MOST_TOKENS = 2**22
"""More than any prompt has: a larger count is no count."""
AROUND_A_WORD = " \t\r\n\"'*`:"
"""What a token may have beside the label's letters, in JSON or in plain text."""


class NoCompletion(ValueError):
    """An answer that is no chat completion."""


class NoJson(NoCompletion):
    """It is not even JSON: it may have broken off."""


@dataclass(frozen=True, slots=True)
class Token:
    """One token of an answer."""

    spelled: bytes
    candidates: tuple[tuple[str, float], ...]
    """(text, log-probability) of what may have stood here, itself among them where the endpoint tells it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """A chat completion's first choice, and what it took."""

    answer: str
    tokens: tuple[Token, ...] = ()
    """Empty where the endpoint gave no log-probabilities."""
    sent: int = 0
    cached: int = 0
    received: int = 0


def read_completion(raw: bytes) -> Completion:
    """The completion in a response's body. Raises NoCompletion (NoJson), with the beginning of what it is instead."""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        raise NoJson(f"the endpoint's answer is not JSON: {shown(raw)}") from None
    try:
        choice = body["choices"][0]
        message = choice["message"]
        content = message.get("content")
        logprobs = choice.get("logprobs")
        tokens = tuple(map(token_of, (logprobs or {}).get("content") or ()))
        usage = body.get("usage") or {}
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens")
    except (LookupError, TypeError, AttributeError):
        raise NoCompletion(f"the endpoint's answer is no chat completion: {shown(raw)}") from None
    if not isinstance(content, str | None):
        raise NoCompletion(f"the endpoint's answer is no text: {shown(raw)}")
    return Completion(
        answer=whole(content or ""),
        tokens=tokens,
        sent=count(usage.get("prompt_tokens")),
        cached=count(cached),
        received=count(usage.get("completion_tokens")),
    )


def token_of(entry: Any) -> Token:
    """A token with its candidates. Raises what a wrong shape raises."""
    pairs = [
        (entry["token"], entry.get("logprob")),
        *((c["token"], c["logprob"]) for c in entry.get("top_logprobs") or ()),
    ]
    candidates = {str(text): number(value) for text, value in pairs if value is not None}
    raw = entry.get("bytes")
    try:
        spelled = bytes(raw)
    except (TypeError, ValueError):  # most endpoints send none; some write them as text
        spelled = str(entry["token"]).encode(errors="replace")
    return Token(spelled, tuple(candidates.items()))


def number(value: Any) -> float:
    """A number as a float. Raises TypeError."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def count(value: Any) -> int:
    """A count of tokens; 0, which is what an endpoint without one says, for what is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS else 0


def whole(text: str) -> str:
    """The text without halves of surrogate pairs, which JSON can spell and nothing behind us can write."""
    return text.encode(errors="replace").decode()


def shown(raw: bytes) -> str:
    """The beginning of an answer, for an error."""
    return repr(raw[:200].decode(errors="replace"))


def read_reply(case: Case, words: LabelWords | PairWords, found: Completion, *, explain: bool, way: Way) -> Outcome:
    """The outcome in a completion that was asked for in this way."""
    answer = found.answer
    # The prompt itself asks for the three lines of a reason: an endpoint that minds no schema may well give them.
    if way == "structured" and not (explain and answer.lstrip()[:1] != "{"):
        fields = json_fields(answer, explain)
        if isinstance(fields, Unscored):
            return Outcome(result=fields)
        answer = "\n".join(fields)
    menu = list(words)
    if explain:
        explanation = parse_reply(answer, words)
        if isinstance(explanation, Unscored):
            return Outcome(result=explanation)
        assert explanation.label is not None
        told = label_outcome(explanation.label, found.tokens, menu)
        outcome = explained_outcome(told.result, explanation, case.report)
        return replace(outcome, label_mass=told.label_mass)
    word = answer.strip().removeprefix(CUE).strip().strip("*`\"'").rstrip(".").lower()
    if word not in menu:
        return Outcome(result=Unscored(Reason.UNPARSABLE, f"not one of {', '.join(menu)}: {found.answer[:200]!r}"))
    return label_outcome(menu.index(word), found.tokens, menu)


def json_fields(answer: str, explain: bool) -> list[str] | Unscored:
    """The object of a structured reply as the lines of a written one."""
    try:
        values = json.loads(answer)
        verdict = f"{CUE} {values['verdict']}"
        if not explain:
            return [verdict]
        # A field is a line: what the model wrote in several becomes one.
        return [*(f"{name}: {' '.join(values[name.lower()].split())}" for name in ("Reason", "Quote")), verdict]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Unscored(Reason.UNPARSABLE, f"not the JSON asked for: {answer[:200]!r}")


def label_outcome(label: int, tokens: Sequence[Token], menu: Sequence[str]) -> Outcome:
    """Probabilities of the labels where the answer's label word begins, certain without log-probabilities.

    A token stands for a label when it begins that label's word ("part", " Fully"); the three words begin differently.
    The word is looked for in the tokens' own bytes: a token may be a part of a character, and the answer's text leaves
    out whatever the endpoint strips from it.
    """
    if not tokens:
        return Outcome(result=CERTAIN[label])
    place = b"".join(token.spelled for token in tokens).lower().rfind(menu[label].encode())
    found: list[tuple[int, float]] = []  # (label, log-probability)
    if place >= 0:
        ends = accumulate(len(token.spelled) for token in tokens)
        token = next(token for token, end in zip(tokens, ends, strict=True) if end > place)
        for text, logprob in token.candidates:
            start = text.strip(AROUND_A_WORD).lower()
            found += [(i, logprob) for i, word in enumerate(menu) if start and word.startswith(start)]
    top = max((logprob for _, logprob in found), default=-math.inf)
    if not math.isfinite(top) or any(math.isnan(logprob) for _, logprob in found):
        return Outcome(result=Unscored(Reason.ENGINE_ERROR, "the endpoint's log-probabilities hold no label"))
    mass = [0.0, 0.0, 0.0]
    for index, logprob in found:
        mass[index] += math.exp(logprob - top)  # relative, or endpoints that send scores instead would overflow
    total = sum(mass)
    return Outcome(
        result=Probabilities(*(value / total for value in mass)),
        label_mass=label_mass([logprob for _, logprob in found]),
    )
