"""What one record of an episode can be dropped for, whatever it is about (arXiv 2512.20491, section 3).

A rule gives the reason, or "". Records are those of `judger-agent rollouts`; a task's own rubric is the judge's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from policy import citations
from policy.sources import Source, Sources
from policy.trajectory import Record
from train.expert.clean import loop
from train.synth import words
from train.synth.mixing import MOST_MIXED, foreign_share
from train.synth.repetition import repeated

__all__ = ["Rule", "mixed", "pinned", "rules", "unfinished", "unseen", "wrong"]

Rule = Callable[[Record], str]
_YEAR = re.compile(r"(?<!\d)(?:1[5-9]|20)\d\d(?!\d)")
_TODAY = re.compile(r"[Tt]oday is (\d{4})-\d\d-\d\d")


def rules(answers: Mapping[str, Sequence[str]] | None = None, least_reward: float | None = None) -> dict[str, Rule]:
    """The rules in their order. `answers`: by task, the names of which one has to be in the report."""
    return {
        "not finished": unfinished,
        "wrong": lambda record: wrong(record, answers or {}, least_reward),
        "language mixing": lambda record: mixed(record["report"]),
        "repetition": lambda record: repeated(record["report"]),
        "citation not seen": unseen,
        "loop": loop,
        "pinned to a year": pinned,
    }


def unfinished(record: Record) -> str:
    """An episode that did not come to a report."""
    return "" if record["status"] == "done" and record["report"] else f"{record['status']}: {record['reason']}"


def wrong(record: Record, answers: Mapping[str, Sequence[str]], least_reward: float | None) -> str:
    """A report without the answer that is known, or of too small a reward. Where neither is known it passes."""
    names = answers.get(record["task"])
    if names and not words.ends_in(record["report"], names):
        return f"{names[0]!r} is not in the end of the report"
    if least_reward is not None and record["reward"] is None:
        return "no reward"
    if least_reward is not None and record["reward"] < least_reward:
        return f"reward {record['reward']:.2f}"
    return ""


def mixed(text: str) -> str:
    """Too many sentences in another language than the rest."""
    share = foreign_share(text)
    return f"{share:.0%} in another language" if share > MOST_MIXED else ""


def unseen(record: Record) -> str:
    """A citation of what no tool has shown."""
    sources = Sources()
    for source in record["sources"]:
        sources.add(Source(**source))
    cited: list[str] = []

    def note(keys: Sequence[str]) -> str:
        cited.extend(keys)
        return ""

    citations.replaced(record["report"], note, lambda key: sources.find(key) is not None)
    return next((f"{key!r} was never shown" for key in cited if sources.find(key) is None), "")


def pinned(record: Record) -> str:
    """A search for a past year that neither the task nor anything read so far has named.

    The present year comes of the date in the instructions; without one no year can be known.
    """
    system, query = record["messages"][0]["content"], record["messages"][1]["content"]
    today = _TODAY.search(system)
    known = set(_YEAR.findall(query)) | ({today.group(1)} if today else set())
    for message in record["messages"][2:]:
        for call in message["tool_calls"] or ():
            if call["function"]["name"] == "search":
                for year in _YEAR.findall(call["function"]["arguments"]):
                    if year not in known and not (today and year > today.group(1)):
                        return f"searches for {year}"
        if message["role"] == "tool":
            known.update(_YEAR.findall(message["content"]))
    return ""
