"""An episode that answers a question by its clues, through the real agent and its tools: a demonstration to learn from.

Who plays the policy knows the clues but not where anything is: it searches for each, opens only what a search has
shown, and cites only what it has seen. Where a clue leads elsewhere, there is no episode.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from policy.model import Completion, Message, Model
from policy.models.scripted import calls, says
from policy.runs import Run, run_episode
from policy.trajectory import Record, record_of
from policy.workspace.removal import discard
from train.expert.datasets import chat_message
from train.synth import words
from train.synth.brief import IS, REFERS, Brief
from train.synth.ports import Ports

__all__ = ["Step", "conversation", "run_model", "run_steps", "seek", "seeking_steps"]

Step = Completion | Callable[[Sequence[Message]], Completion]
_KEY = re.compile(r"^\[([^\]\s#]{1,200})#", re.MULTILINE)


async def seek(brief: Brief, question: str, ports: Ports) -> dict[str, Any] | None:
    """`messages` and `tools` of an episode that found the answer; None where it did not."""
    record = await run_steps(brief.id, question, seeking_steps(brief), ports)
    seen = {source["key"] for source in record["sources"]}
    links = {fact.passage for fact in brief.facts if fact.relation == REFERS}
    told = {fact.passage.partition("#")[0] for fact in brief.facts if fact.relation == IS}
    is_found = links <= seen and told <= {key.partition("#")[0] for key in seen}
    is_told = bool(words.is_named(record["report"], brief.names))
    return conversation(record) if record["status"] == "done" and is_found and is_told else None


def seeking_steps(brief: Brief, said: str = "") -> list[Step]:
    """Search for the clues, then for what they turned out to be, and open what that shows; `said` opens the first."""
    clues = [fact.object for fact in brief.facts if fact.relation == IS]
    links = [fact for fact in brief.facts if fact.relation == REFERS]
    steps: list[Step] = [
        calls(("search", {"queries": [words.short(clue, 24).removesuffix(" …") for clue in clues]}), content=said)
    ]
    if brief.kind == "walks":
        for fact in links:
            steps += [_open([fact.passage]), calls(("search", {"queries": [fact.words or fact.object]}))]
    else:
        names = list(dict.fromkeys(fact.object for fact in links))
        steps += [calls(("search", {"queries": [" ".join(names), *names]})), _open([fact.passage for fact in links])]
    cited = " ".join(f"The page on {f.subject} refers to {f.object} \\cite{{{f.passage}}}." for f in links)

    def report(messages: Sequence[Message]) -> Completion:
        if brief.source not in _shown(messages):
            return says("I could not find it.")
        return says(f"{cited}\n\nThe answer is {brief.answer}.")

    return [*steps, report]


def _open(passages: Sequence[str]) -> Callable[[Sequence[Message]], Completion]:
    """Open the pages of these passages, as far as they have been shown."""

    def step(messages: Sequence[Message]) -> Completion:
        shown = _shown(messages)
        targets = [page for page in dict.fromkeys(key.partition("#")[0] for key in passages) if page in shown]
        return calls(("open", {"targets": targets})) if targets else says("I could not find it.")

    return step


def _shown(messages: Sequence[Message]) -> set[str]:
    """The pages of which a tool has shown a passage."""
    return {key for message in messages if message["role"] == "tool" for key in _KEY.findall(message["content"])}


async def run_steps(identity: str, query: str, steps: Sequence[Step], ports: Ports) -> Record:
    """The record of an episode of the real agent whose model takes these steps."""
    return await run_model(identity, query, _Steps(steps), ports)


async def run_model(identity: str, query: str, model: Model, ports: Ports) -> Record:
    """The record of an episode of the real agent with this model, in a workspace that is gone behind it."""
    assert ports.shared is not None
    folder = ports.work / identity
    discard(folder)  # of a run that was interrupted
    try:
        run = Run(folder)
        episode = await run_episode(run, query, lambda *_: model, ports.shared, ports.settings, task=identity)
        return {**record_of(episode), "id": identity, "time": 0.0}
    finally:
        discard(folder)


class _Steps:
    """A model that takes the given steps."""

    name = "demonstration"

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = steps

    async def complete(
        self, messages: Sequence[Message], tools: Sequence[Any], *, max_tokens: int, use_tools: bool = True
    ) -> Completion:
        step = self._steps[sum(message["role"] == "assistant" for message in messages)]
        return step if isinstance(step, Completion) else step(messages)

    async def aclose(self) -> None:
        return None


def conversation(record: Record) -> dict[str, Any]:
    """What a trainer reads of a record, and the record's own figures."""
    return {
        "messages": [chat_message(message) for message in record["messages"]],
        "tools": record["tools"],
        "turns": record["usage"]["turns"],
        "tool_errors": record["usage"]["tool_errors"],
        "record": json.dumps(record, ensure_ascii=False),
    }
