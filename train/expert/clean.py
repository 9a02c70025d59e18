"""The paper's cleaning rules over records of episodes (Step-DeepResearch, arXiv 2512.20491, section 3).

Pure: records in, records and a funnel out. A rule gives the reason why it drops a record, or "".
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from policy.scripts import CJK
from policy.trajectory import Record
from policy.whole import loads
from train.tasks.draft import Card, Named
from train.tasks.funnel import Funnel

__all__ = ["Attempt", "clean", "loop", "rules"]

CORRECT = 0.5
"""Least share of the asked facts that a report must tell truly."""
NGRAM = 6
NAME_WORDS = 5
"""The most Latin words in a row that a name or a title in a Chinese or Japanese text has."""
_SHORTEST, _OVER = "not the shortest", "over the share of recovered errors"
_RECOVERY = "a recovery stands for the task"
_CITE = re.compile(r"(?:(?<!\s)\s++)?\\cite\{([^{}]*)\}")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
_YEAR = re.compile(r"\b(?:1[5-9]|20)\d\d\b")
_CJK = re.compile(f"[{CJK}]")
_CJK_RUN = re.compile(f"[{CJK}]+")
_LATIN_WORD = re.compile(r"[A-Za-z]+")
_COMPARES = re.compile(r"\b(?:disagree|differ|contradict)")


N = TypeVar("N", bound=Named)


@dataclass(frozen=True, slots=True)
class Attempt(Generic[N]):
    """An episode and the task it was for."""

    card: N
    record: Record


Rule = Callable[[Attempt[N]], str]


def rules() -> dict[str, Rule[Card]]:
    """The filters in their order: what ends an episode, what it says, how it says it, how it got there."""
    return {
        "not finished": _unfinished,
        "language mixing": _mixing,
        "n-gram repetition": _repetition,
        "wrong or incomplete": _wrong,
        "citation not seen": _unseen,
        "citation does not say so": _unsupported,
        "loop": lambda attempt: loop(attempt.record),
        "pinned to a year": _pinned,
    }


def clean(
    attempts: Sequence[Attempt[N]],
    funnel: Funnel,
    *,
    recovered: float = 0.15,
    seed: int = 0,
    order: Mapping[str, Rule[N]],
) -> list[Attempt[N]]:
    """One attempt a task: the shortest that passes every rule.

    For a share of `recovered` of the tasks it is one with a tool error that was mended; no other attempt with an error
    is kept. `order`: the rules, such as this world's.
    """
    funnel.total += len(attempts)
    funnel.expect(*order, _SHORTEST, _OVER, _RECOVERY)
    by_task: dict[str, list[Attempt[N]]] = {}
    for attempt in attempts:
        for name, rule in order.items():
            if reason := rule(attempt):
                funnel.drop(name, f"{attempt.card.id}: {reason}")
                break
        else:
            by_task.setdefault(attempt.card.id, []).append(attempt)
    quota = round(recovered * len(by_task))
    tasks = list(by_task)
    random.Random(f"recovered {seed}").shuffle(tasks)
    with_errors: set[str] = set()
    for task in sorted(tasks, key=lambda task: all(map(_errors, by_task[task])), reverse=True):
        if len(with_errors) < quota and any(map(_errors, by_task[task])):
            with_errors.add(task)
    kept: list[Attempt[N]] = []
    for task, some in by_task.items():
        wanted = [attempt for attempt in some if bool(_errors(attempt)) == (task in with_errors)]
        if not wanted:
            funnel.drop(_OVER, task, len(some))
            continue
        kept.append(min(wanted, key=_length))
        if len(wanted) > 1:
            funnel.drop(_SHORTEST, task, len(wanted) - 1)
        if len(some) > len(wanted):
            funnel.drop(_RECOVERY if task in with_errors else _OVER, task, len(some) - len(wanted))
    return kept


def _unfinished(attempt: Attempt[Card]) -> str:
    record = attempt.record
    return "" if record["status"] == "done" else f"{record['status']}: {record['reason']}"


def _wrong(attempt: Attempt[Card]) -> str:
    card = attempt.card
    sentences = _sentences(attempt.record["report"])
    wanted = [(subject, name) for subject in card.subjects for name in card.asked]
    found = sum(
        any(subject.claim(name) in text and _is_about(text, subject.name, card) for text, _ in sentences)
        for subject, name in wanted
    )
    if found < CORRECT * len(wanted):
        return f"{found} of {len(wanted)} facts are told truly"
    told = sum(
        any(_opening(subject.attribute(name).claim) in text for text, _ in sentences) for subject, name in wanted
    )
    return "" if told == len(wanted) else f"{len(wanted) - told} of {len(wanted)} questions are not answered"


def _is_about(text: str, name: str, card: Card) -> bool:
    """With one subject every sentence is about it; with two, each has to name its own."""
    return len(card.subjects) == 1 or name in text


def _opening(claim: str) -> str:
    before, _, after = claim.partition("{v}")
    return before if before.strip() else after


def _unseen(attempt: Attempt[Card]) -> str:
    seen = {source["key"] for source in attempt.record["sources"]}
    for text, keys in _sentences(attempt.record["report"]):
        if not keys:
            return f"nothing is cited for {text!r}"
        for key in keys:
            if key not in seen:
                return f"{key} was never shown"
    return ""


def _unsupported(attempt: Attempt[Card]) -> str:
    """Every name and number of a sentence must stand in what it cites."""
    sources = {source["key"]: f"{source['title']} {source['text']}" for source in attempt.record["sources"]}
    for text, keys in _sentences(attempt.record["report"]):
        said = " ".join(sources[key] for key in keys)
        # The first word is a capital whatever it is.
        for word in re.findall(r"\b(?:[A-Z][a-z]+|\d[\d,.]*\d|\d)\b", text.partition(" ")[2]):
            if not re.search(rf"\b{re.escape(word)}\b", said):
                return f"{', '.join(keys)} does not say {word}"
        # One that compares sources says so in its own words.
        if not _COMPARES.search(text) and not _shares_words(text, said):
            return f"{', '.join(keys)} says nothing like {text!r}"
    return ""


def _shares_words(text: str, said: str) -> bool:
    words = {word for word in re.findall(r"[a-z]{3,}", text.lower()) if word not in ("the", "was", "and", "that")}
    return len([word for word in words if re.search(rf"\b{word}\b", said.lower())]) >= 0.6 * len(words)


def _repetition(attempt: Attempt[Card]) -> str:
    sentences = Counter(text for text, _ in _sentences(attempt.record["report"]))
    sentence, count = max(sentences.items(), key=lambda pair: pair[1])
    if count > 1:
        return f"{sentence!r} {count} times"
    words = re.findall(r"\w+", _CITE.sub("", attempt.record["report"]).lower())
    grams = Counter(tuple(words[i : i + NGRAM]) for i in range(len(words) - NGRAM + 1))
    gram, count = max(grams.items(), key=lambda pair: pair[1], default=((), 0))
    return f"{' '.join(gram)!r} {count} times" if count > 2 else ""


def loop(record: Record) -> str:
    """A call made again that brought nothing new: the same words came back. A page that has changed is no loop.

    The agent's own footer, which counts turns, is no part of what came back; and a call's id is its turn's alone.
    """
    steps = [step for step in record["steps"] if step["kind"] != "compaction"]
    asked: dict[str, tuple[str, str]] = {}
    made: Counter[tuple[str, str, str]] = Counter()
    for message, step in zip(record["messages"][2:], steps, strict=True):
        for call in message["tool_calls"] or ():
            asked[call["id"]] = call["function"]["name"], _canonical(call["function"]["arguments"])
        if message["role"] == "tool" and message["tool_call_id"] in asked:
            made[*asked[message["tool_call_id"]], message["content"].removesuffix(step["footer"])] += 1
    (name, arguments, _), count = max(made.items(), key=lambda pair: pair[1], default=(("", "", ""), 0))
    return f"{name} {arguments} {count} times, with the same result" if count > 1 else ""


def _canonical(arguments: str) -> str:
    """The arguments of a call, whatever the order of keys and queries, the case and the spaces."""
    try:
        return json.dumps(_folded(loads(arguments)), sort_keys=True, ensure_ascii=False)
    except ValueError:
        return arguments


def _folded(value: object) -> object:
    match value:
        case str():
            return " ".join(value.casefold().split())
        case list():
            return sorted(map(_folded, value), key=str)
        case dict():
            return {key: _folded(inner) for key, inner in value.items()}
    return value


def _pinned(attempt: Attempt[Card]) -> str:
    """A year in a search that neither the query nor anything read before has named."""
    known = attempt.record["query"]
    for message in attempt.record["messages"][2:]:
        for call in message["tool_calls"] or ():
            if call["function"]["name"] == "search":
                for year in _YEAR.findall(call["function"]["arguments"]):
                    if year not in known:
                        return f"searches for {year}"
        known += message["content"]
    return ""


def _mixing(attempt: Attempt[Card]) -> str:
    """Words of another script that nothing before has shown. In Chinese or Japanese a Latin name is none: NVIDIA; a run
    of Latin words is."""
    record = attempt.record
    is_cjk = bool(_CJK.search(record["query"])) and not _latin_run(record["query"])
    shown = record["query"]
    for message in record["messages"][2:]:
        if message["role"] != "assistant":
            shown += message["content"]
            continue
        said = _CITE.sub("", message["content"])
        found = [_latin_run(said)] if is_cjk else _CJK_RUN.findall(said)
        for run in filter(None, found):
            if run not in shown:
                return f"{run!r} in a reply to {record['query']!r}"
    return ""


def _latin_run(text: str) -> str:
    """The first run of Latin words that is longer than a name; empty where there is none."""
    start, end, count = 0, 0, 0
    for word in _LATIN_WORD.finditer(text):
        goes_on = count and not text[end : word.start()].strip(" ,;'-")
        start, count = (start, count + 1) if goes_on else (word.start(), 1)
        end = word.end()
        if count > NAME_WORDS:
            return text[start:end]
    return ""


def _sentences(report: str) -> list[tuple[str, tuple[str, ...]]]:
    """(sentence without its citations, keys cited in it)."""
    pairs = []
    for sentence in _SENTENCE.split(report.strip()):
        keys = tuple(key.strip() for group in _CITE.findall(sentence) for key in group.split(","))
        pairs.append((_CITE.sub("", sentence), keys))
    return pairs


def _errors(attempt: Attempt[N]) -> int:
    return int(attempt.record["usage"]["tool_errors"])


def _length(attempt: Attempt[N]) -> tuple[int, int]:
    record = attempt.record
    return record["usage"]["turns"], sum(len(json.dumps(message, ensure_ascii=False)) for message in record["messages"])
