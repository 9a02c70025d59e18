"""Reports: a query with a real report for mid-training, and one that follows its plan in paragraphs for fine-tuning.

Step-DeepResearch, arXiv 2512.20491, sections 3 and 7.5: drafting in paragraphs with few bullets; a rewrite is kept only
where it loses nothing and a pairwise judge finds it deeper in both orders.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from train.synth import words
from train.synth.brief import Brief, Dropped
from train.synth.checker import is_deeper
from train.synth.forms import Report
from train.synth.grounds import strays
from train.synth.leaks import leak
from train.synth.planning import IN_TASK, OFF_TOPIC, hindsight
from train.synth.ports import Ports
from train.synth.sections import NOT_A_REPORT
from train.synth.writer import Prompt

__all__ = ["Reports", "bulleted", "lost", "paragraphs"]

FRAGMENTED, LOST, SHALLOW, NOT_FOLLOWED = "fragmented", "coverage lost", "not deeper", "plan not followed"
MOST_BULLETS = 0.25
"""Share of a report's words that may stand in bullets."""
KEPT = 0.97
"""Share of the numbers and of the telling words that a rewrite has to keep."""
_BULLET = re.compile(r"^[ \t]*(?:[-*+•]|\d{1,3}[.)])[ \t]+")


class Reports:
    """A pair from each report of the corpus, reformatted where it is fragmented."""

    name = "reports"
    filters = (NOT_A_REPORT, "unreadable", OFF_TOPIC, IN_TASK, NOT_FOLLOWED, FRAGMENTED, LOST, SHALLOW)

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    def briefs(self, count: int) -> Sequence[Brief]:
        return self._ports.briefs(self.name, "report", self._ports.corpus.documents(), count, draw="reports")

    async def make(self, brief: Brief) -> Mapping[str, Any]:
        ports, key = self._ports, brief.source
        found = await hindsight(brief, ports)
        plan = found.plan
        report = "\n\n".join(
            f"## {one.heading}\n\n" + "\n\n".join(passage.text for passage in one.passages) for one in found.sections
        )
        if reason := strays(plan.task, f"{found.known} {' '.join(one.heading for one in found.sections)}"):
            raise Dropped(OFF_TOPIC, reason)
        if reason := leak(plan.task, found.known, [report]):
            raise Dropped(IN_TASK, reason)
        if reason := unfollowed(report, plan.steps):
            raise Dropped(NOT_FOLLOWED, reason)
        rewritten, deeper = report, None
        if bulleted(report) > MOST_BULLETS:
            rewritten = (await ports.writer.write(Prompt("reformat", found.brief, {"report": report}), Report)).report
            if bulleted(rewritten) > MOST_BULLETS:
                raise Dropped(FRAGMENTED, f"{key}: {bulleted(rewritten):.0%} in bullets")
            if reason := lost(report, rewritten):
                raise Dropped(LOST, f"{key}: {reason}")
            if ports.checker is not None:
                deeper = await is_deeper(ports.checker, plan.task, rewritten, report)
            if deeper is False:
                raise Dropped(SHALLOW, key)
        steps = "\n".join(f"{number}. {step}" for number, step in enumerate(plan.steps, 1))
        asking = f"{plan.task}\n\nKeep to this plan:\n{steps}"
        return {
            "text": f"Task: {plan.task}\n\n{words.plain(report)}",
            "messages": [_message("user", asking), _message("assistant", rewritten)],
            "tools": "[]", "turns": 1, "tool_errors": 0, "source": key, "reformatted": rewritten != report,
            "deeper": deeper,
        }  # fmt: skip


def _message(role: str, content: str) -> dict[str, Any]:
    return {"role": role, "content": content, "tool_calls": None, "tool_call_id": None}


def bulleted(report: str) -> float:
    """The share of a report's words that stand in lines of a list."""
    lines = [line for line in report.split("\n") if line.strip() and not line.startswith(("#", "|"))]
    whole = sum(words.length(line) for line in lines)
    return sum(words.length(line) for line in lines if _BULLET.match(line)) / whole if whole else 0.0


def lost(report: str, rewrite: str) -> str:
    """What a rewrite has lost: numbers or telling words of the report; "" where it keeps nearly all of both."""
    for what, of in (("numbers", words.numbers), ("words", words.content)):
        before, after = set(of(_unlisted(report))), set(of(_unlisted(rewrite)))
        if before and len(before & after) < KEPT * len(before):
            return f"{len(before - after)} of {len(before)} {what}, such as {min(before - after)!r}"
    return ""


def _unlisted(text: str) -> str:
    """The text without links and without the marks of its lists, whose numbers say nothing."""
    return "\n".join(_BULLET.sub("", line) for line in words.plain(text).split("\n"))


def unfollowed(report: str, steps: Sequence[str]) -> str:
    """A step of the plan whose words are in no section's heading or text; "" where all are taken."""
    said = set(words.content(words.plain(report)))
    for step in steps:
        wanted = set(words.content(step)) - _WORK
        if wanted and len(wanted & said) < 0.5 * len(wanted):
            return step
    return ""


_WORK = frozenset("investigate write report cite each fact find search".split())


def paragraphs(report: str) -> str:
    """The report with each list as a paragraph of its items, sentence by sentence."""
    out: list[str] = []
    items: list[str] = []
    for line in [*report.split("\n"), ""]:
        if found := _BULLET.match(line):
            item = line[found.end() :].strip()
            items.append(item if item.endswith((".", "!", "?", ":", "。", "；")) else f"{item}.")
            continue
        if items and not line.strip():
            continue  # a blank line between items
        if items:
            out += [" ".join(items), ""]
            items = []
        out.append(line)
    if items:
        out.append(" ".join(items))
    return "\n".join(out).strip("\n")
