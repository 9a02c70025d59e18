"""Planning in hindsight: a real report's title and abstract become a task and the plan that leads to it.

Step-DeepResearch, arXiv 2512.20491, section 3: results are stripped, so that the task gives nothing away; an episode
that does not keep to the plan is dropped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from policy.models.scripted import calls, says
from policy.sources import Source
from policy.trajectory import Record
from policy.whole import loads
from train.synth import words
from train.synth.brief import Brief, Dropped, Fact
from train.synth.checker import Checker
from train.synth.forms import Plan
from train.synth.grounds import strays
from train.synth.leaks import leak
from train.synth.ports import Ports
from train.synth.sections import NOT_A_REPORT, Section, outline
from train.synth.seeking import conversation, run_steps
from train.synth.writer import Prompt

__all__ = ["IN_TASK", "OFF_TOPIC", "Hindsight", "Planning", "deviation", "hindsight", "stripped"]

IN_TASK, IN_PLAN, OFF_PLAN = "result in the task", "result in the plan", "not by the plan"
OFF_TOPIC = "not about the report"
_RESULT = re.compile(
    r"(?i)\b(?:we (?:find|found|show|showed|conclude)|results? (?:show|suggest|indicate)s?|increased|decreased|"
    r"(?:found|shows?|showed|conclude[sd]?|reveal(?:s|ed)?|demonstrate[sd]?) that|outperform\w{0,4}|achieve[sd]?)\b|"
    r"(?:结果|研究|数据|分析)(?:表明|显示|发现)|我们发现|得出结论|(?:增长|上升|下降|减少|提高|降低)了|达到了?"
)
KEPT = 0.75
"""Share of a plan's steps that an episode has to take."""
SAID = 0.6
"""Share of a step's words that one query, or one paragraph, has to have."""


@dataclass(frozen=True, slots=True)
class Hindsight:
    """A report's title, what is `known` of it before the work (title and stripped abstract), and the plan to it."""

    title: str
    known: str
    sections: Sequence[Section]
    brief: Brief
    plan: Plan


async def hindsight(brief: Brief, ports: Ports) -> Hindsight:
    """The plan in hindsight of the report that a brief is about. Raises Dropped for what is no report, Unwritten."""
    key = brief.source
    title, sections = ports.corpus.title(key), outline(ports, key)
    abstract = stripped(ports.corpus.passages(key)[:2], title)
    facts = tuple(Fact(title, "covers", one.heading, one.passages[0].key) for one in sections)
    written = replace(brief, asked=f"{title}. {abstract}".strip(), facts=facts)
    plan = await ports.writer.write(Prompt("plan", written), Plan)
    return Hindsight(title, f"{title} {abstract}", sections, written, plan)


class Planning:
    """A task and a plan from each report of the corpus, with an episode that follows the plan."""

    name = "planning"
    filters = (NOT_A_REPORT, "unreadable", OFF_TOPIC, IN_TASK, IN_PLAN, OFF_PLAN)

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    def briefs(self, count: int) -> Sequence[Brief]:
        return self._ports.briefs(self.name, "plan", self._ports.corpus.documents(), count, draw="reports")

    async def make(self, brief: Brief) -> Mapping[str, Any]:
        ports, key = self._ports, brief.source
        found = await hindsight(brief, ports)
        plan, body = found.plan, [one.text for one in ports.corpus.passages(key)]
        known = " ".join([found.known, *(one.heading for one in found.sections)])
        if reason := strays(plan.task, known):
            raise Dropped(OFF_TOPIC, reason)
        if reason := leak(plan.task, found.known, body):
            raise Dropped(IN_TASK, reason)
        for step in plan.steps:
            if reason := leak(step, known, body):
                raise Dropped(IN_PLAN, reason)
        row: dict[str, Any] = {
            "text": f"Task: {plan.task}\nPlan:\n" + "\n".join(f"{n}. {step}" for n, step in enumerate(plan.steps, 1)),
            "task": {"id": brief.id, "query": plan.task},
            "written": "\n".join([plan.task, *plan.steps]),
            "source": key, "plan": plan.steps,
        }  # fmt: skip
        if ports.shared is not None:
            record = await run_steps(brief.id, plan.task, _episode(found.title, found.sections, key), ports)
            if reason := await deviation(record, plan.steps, ports.checker):
                raise Dropped(OFF_PLAN, reason)
            row.update(conversation(record))
        return row


def stripped(passages: Sequence[Source], title: str) -> str:
    """The first sentences of a report that say what it is about and nothing that it found: no result and no number."""
    said = [sentence for passage in passages for sentence in words.sentences(passage.text)]
    about = [one for one in said if not words.numbers(one) and not _RESULT.search(one) and one != title]
    return " ".join(about[:2])


async def deviation(record: Record, steps: Sequence[str], checker: Checker | None) -> str:
    """How an episode strays from its plan; "" where it takes enough of the steps.

    A step is taken where most of its words are in one query or one paragraph of the report, or where the judge says
    that the work includes it: each step is a criterion on the calls and the report.
    """
    asked = [
        " ".join(words.content(part))
        for message in record["messages"]
        for call in message["tool_calls"] or ()
        for part in _parts(call["function"]["arguments"])
    ]
    done = [*asked, *(" ".join(words.content(part)) for part in record["report"].split("\n"))]
    missing = []
    common = _VERBS | set(words.content(record["query"]))  # what any call about the task has
    for step in steps:
        telling = {word for word in words.content(step) if word not in _VERBS}
        wanted = (telling - common) or telling
        if wanted and not any(len(wanted & set(part.split())) >= SAID * len(wanted) for part in done):
            missing.append(step)
    if missing and checker is not None:
        work = "\n".join([f"Call: {part}" for part in asked] + [record["report"]])
        found = await checker.holds(record["query"], work, [f"The work includes this step: {step}" for step in missing])
        missing = [step for step, sure in zip(missing, found, strict=True) if sure is None or sure < 0.5]
    if len(missing) > (1 - KEPT) * len(steps):
        return f"{len(missing)} of {len(steps)} steps are not taken, such as {missing[0][:80]!r}"
    return ""


_VERBS = frozenset("investigate find search open read write report cite compare collect sources fact each out".split())


def _parts(arguments: str) -> list[str]:
    """The texts among the arguments of a call: each query by itself."""
    try:
        values = loads(arguments)
    except ValueError:
        return [arguments]
    if not isinstance(values, dict):
        return [arguments]
    lists = (value if isinstance(value, list) else [value] for value in values.values())
    return [str(part) for some in lists for part in some]


def _episode(title: str, sections: Sequence[Section], key: str) -> list[Any]:
    """Search for each section, open the report, and say of each what it begins with, cited."""
    queries = [f"{title} {one.heading}" for one in sections]
    steps = [calls(("search", {"queries": queries[at : at + 4]})) for at in range(0, len(queries), 4)]
    said = []
    for one in sections:
        first = next(iter(words.sentences(one.passages[0].text)), "").rstrip(".")
        said.append(f"{one.heading}: {first} \\cite{{{one.passages[0].key}}}.")
    return [*steps, calls(("open", {"targets": [key]})), says("\n\n".join(said))]
