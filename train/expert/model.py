"""An expert behind the agent's own model interface. It knows the world, but cites only what its tools have shown.

It has habits, some of them bad and rationed by `draw_habits`, so that the cleaning has something to clean and the kept
trajectories show recoveries.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from policy.model import Completion, Message, Schema, ToolCall
from train.tasks.draft import Card
from train.world.documents import Document
from train.world.generate import Entity

__all__ = ["Expert", "Habits", "cited", "draw_habits"]

_MENDS = {
    "key": "There is no such page. I open it by its whole key.",
    "tool": "There is no such tool. I use open.",
    "json": "That call was cut off. I send it whole.",
    "empty": "That query was empty. I name what I look for.",
}
"""What is said before the call that mends a slip."""
_SHOWN = re.compile(r"^\[([\w-]+#\d+)\]", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """What one episode does beside searching, opening and reporting."""

    slip: str = ""
    """A tool error that is recovered from: "key", "tool", "json" or "empty"."""
    second_search: bool = False
    trusts_blog: bool = False
    names_town: bool = False
    compares: bool = False
    """Says that sources disagree."""
    terse: bool = False
    """Plans and reflects in the fewest words."""
    flaw: str = ""
    """What the cleaning must find: "loop", "repetition", "unseen", "unsupported", "forgets", "year", "mixing"."""


def draw_habits(draw: random.Random, *, rough: bool = False) -> Habits:
    """The shares are the expert's: one in five slips, one in six has a flaw.

    A `rough` one is as often careless as not, and takes no detours: what it learns from is worth half, and sampling
    from what was learned explores both.
    """
    flaws = ("loop", "repetition", "unseen", "unsupported", "forgets", "year", "mixing")
    return Habits(
        slip=draw.choice(("key", "tool", "json", "empty")) if draw.random() < 0.2 else "",
        second_search=draw.random() < (0.02 if rough else 0.15),
        trusts_blog=draw.random() < (0.5 if rough else 0.3),
        names_town=draw.random() < (0.35 if rough else 0.12),
        compares=draw.random() < (0.35 if rough else 0.12),
        terse=rough,
        flaw=draw.choice(flaws) if draw.random() < 0.17 else "",
    )


class Expert:
    """One episode's model. Its next turn follows from the history, so a resumed episode goes on."""

    name = "expert"

    def __init__(self, card: Card, documents: Mapping[str, Sequence[Document]], habits: Habits) -> None:
        self._card, self._documents, self._habits = card, documents, habits
        self._plan = self._make_plan()

    async def complete(
        self, messages: Sequence[Message], tools: Sequence[Schema], *, max_tokens: int, use_tools: bool = True
    ) -> Completion:
        turn = sum(message["role"] == "assistant" for message in messages)
        if turn < len(self._plan) and use_tools:
            thought, name, arguments = self._plan[turn]
            call = ToolCall(f"call_{turn}", name, arguments)
            return Completion(content=thought, tool_calls=(call,), finish="tool_calls")
        return Completion(content=self._report(_seen(messages)))

    async def aclose(self) -> None:
        return None

    def _make_plan(self) -> list[tuple[str, str, str]]:
        """What is said before each call (the plan, then what came of the last call), the tool and its arguments."""
        card, habits = self._card, self._habits
        names = [subject.called for subject in card.subjects]
        topics = [card.subjects[0].attribute(name).topic for name in card.asked]
        said = f"Plan: search for {_listed(names)}, open the registry, report {_listed(topics)}."
        first = _call("search", queries=[f"{name} 2024" for name in names] if habits.flaw == "year" else names)
        plan = [("Plan: search, open, report." if habits.terse else said, *first)]
        if habits.flaw == "loop":
            plan += [plan[0], plan[0]]
        if habits.second_search:
            plan.append((f"I look for {topics[0]}, too.", *_call("search", queries=[f"{names[0]} {_bare(topics[0])}"])))
        keys = [self._documents[subject.id][0].key for subject in card.subjects]
        found = "The registry has it." if habits.terse else f"{_listed(keys)} should say it."
        match habits.slip:
            case "key":
                plan.append((found, *_call("open", targets=[key.removeprefix("registry-") for key in keys])))
            case "tool":
                plan.append((found, *_call("read", targets=keys)))
            case "json":
                plan.append((found, "open", '{"targets": [' + json.dumps(keys[0])))
            case "empty":
                plan.insert(0, (plan[0][0], *_call("search", queries=[""])))
                plan[1] = (_MENDS["empty"], *plan[1][1:])
        mended = _MENDS.get(habits.slip, "") if habits.slip != "empty" else ""
        plan.append((mended or found, *_call("open", targets=keys)))
        return plan

    def _report(self, seen: Set[str]) -> str:
        card, habits = self._card, self._habits
        asked = [(subject, name) for subject in card.subjects for name in card.asked]
        if habits.flaw == "forgets":
            asked = asked[: len(asked) // 2]
        sentences = [
            self._sentence(subject, name, seen, is_first=number == 0 or len(card.subjects) > 1)
            for number, (subject, name) in enumerate(asked)
        ]
        first = card.subjects[0]
        if habits.names_town and "town" not in card.asked and len(card.subjects) == 1:
            sentences.append(self._sentence(first, "town", seen))
        if habits.compares and card.contested:
            sentences += self._disagreement(first, seen)
        if habits.flaw == "repetition":
            sentences += sentences[-1:] * 2
        if habits.flaw == "mixing":
            sentences[-1] = sentences[-1].replace("was", "在").replace(" is ", " 是 ")
        return " ".join(sentences)

    def _sentence(self, subject: Entity, name: str, seen: Set[str], *, is_first: bool = False) -> str:
        page, value = self._documents[subject.id][0], subject.facts[name]
        blog = self._documents[subject.id][1]
        if self._habits.trusts_blog and name == subject.contested and f"{blog.key}#1" in seen:
            page, value = blog, subject.false_value
        number = page.paragraph_of(name)
        key = f"{page.key}#{number}"
        match self._habits.flaw:
            case "unseen":
                key = f"archive-{subject.id}#{number}"
            case "unsupported" if name == self._card.asked[-1]:
                key = f"{page.key}#{number % sum(map(bool, page.facts)) + 1}"
        return cited(subject.statement(name, "" if is_first else "it", value), key)

    def _disagreement(self, subject: Entity, seen: Set[str]) -> list[str]:
        """A sentence on what sources disagree about, where the tools have shown the other one."""
        attribute = subject.attribute(subject.contested)
        for document in self._documents[subject.id][:0:-1]:  # the gazette before the blog
            key = f"{document.key}#1"
            if key in seen:
                other = attribute.says.format(it="it", v=subject.false_value).removesuffix(".")
                return [cited(f"Sources disagree about {attribute.topic}: a blog says that {other}.", key)]
        return []


def cited(text: str, *keys: str) -> str:
    """The sentence with its citation before the full stop."""
    return f"{text.removesuffix('.')} \\cite{{{', '.join(keys)}}}."


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def _bare(topic: str) -> str:
    return topic.removeprefix("the ")


def _call(name: str, **arguments: list[str]) -> tuple[str, str]:
    return name, json.dumps(arguments, ensure_ascii=False)


def _seen(messages: Sequence[Message]) -> set[str]:
    """Keys of the passages that the tools have shown."""
    return {key for message in messages if message["role"] == "tool" for key in _SHOWN.findall(message["content"])}
