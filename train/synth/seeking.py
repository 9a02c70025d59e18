"""An episode that answers a question by its clues, through the real agent and its tools: a demonstration to learn from.

Who plays the policy knows the clues but not where anything is: it searches for each, opens what it found and cites only
what its tools have shown. Where a clue leads elsewhere, there is no episode.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from policy.model import Completion, Message
from policy.models.scripted import calls, says
from policy.runs import Run, run_episode
from policy.trajectory import Record, record_of
from policy.workspace.removal import discard
from train.expert.datasets import chat_message
from train.synth import words
from train.synth.brief import IS, REFERS, Brief
from train.synth.ports import Ports

__all__ = ["conversation", "run_steps", "seek"]


async def seek(brief: Brief, question: str, ports: Ports) -> dict[str, Any] | None:
    """`messages` and `tools` of an episode that found the answer; None where it did not."""
    clues = [fact.object for fact in brief.facts if fact.relation == IS]
    links = [fact for fact in brief.facts if fact.relation == REFERS]
    names = list(dict.fromkeys(fact.object for fact in links))
    if brief.kind == "walks":
        names = [links[0].subject, *names]
        hops = [[name] for name in names[:-1]]
    else:
        hops = [names]
    steps = [_search([words.short(clue, 24).removesuffix(" …") for clue in clues])]
    steps += [_search([" ".join(hop)]) for hop in hops]
    targets = [fact.passage.partition("#")[0] for fact in links] + [brief.source]
    steps += [calls(("open", {"targets": list(dict.fromkeys(targets))}))]
    record = await run_steps(brief.id, question, [*steps, says(_report(brief))], ports)
    seen = {source["key"] for source in record["sources"]}
    told = {fact.passage.partition("#")[0] for fact in brief.facts if fact.relation == IS}
    is_found = {fact.passage for fact in links} <= seen and told <= {key.partition("#")[0] for key in seen}
    return conversation(record) if record["status"] == "done" and is_found else None


def _search(queries: Sequence[str]) -> Completion:
    return calls(("search", {"queries": list(queries)}))


def _report(brief: Brief) -> str:
    cited = [
        f"The page on {fact.subject} refers to {fact.object} \\cite{{{fact.passage}}}."
        for fact in brief.facts
        if fact.relation == REFERS
    ]
    return f"{' '.join(cited)} The answer is {brief.answer}."


async def run_steps(identity: str, query: str, steps: Sequence[Completion], ports: Ports) -> Record:
    """The record of an episode of the real agent whose model takes these steps."""
    assert ports.shared is not None
    folder = ports.work / identity
    discard(folder)  # of a run that was interrupted
    try:
        run = Run(folder)
        episode = await run_episode(run, query, lambda *_: _Steps(steps), ports.shared, ports.settings, task=identity)
        return {**record_of(episode), "id": identity, "time": 0.0}
    finally:
        discard(folder)


class _Steps:
    """A model that takes the given steps, whatever it is shown."""

    name = "demonstration"

    def __init__(self, steps: Sequence[Completion]) -> None:
        self._steps = steps

    async def complete(
        self, messages: Sequence[Message], tools: Sequence[Any], *, max_tokens: int, use_tools: bool = True
    ) -> Completion:
        return self._steps[sum(message["role"] == "assistant" for message in messages)]

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
