"""The episode of `judger-agent run --demo`: a script that uses every tool on the bundled corpus, mistakes included."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from policy import bundled
from policy.model import Completion
from policy.models.scripted import calls, says

__all__ = ["QUERY", "script"]

QUERY = "What did the flood of 1822 do to the tidal mill at Voe, and who rebuilt it, at what price? Write half a page."


def script(tools: Collection[str], missing: Sequence[str] = ()) -> list[Completion]:
    """The replies, for the tools there are; `missing` says why others are not."""
    plan = [
        "Find the flood",
        "Find the mill's rebuilding",
        "Check against a second source",
        "Write and correct the report",
    ]

    draft = bundled.prompt("demo-report.md")

    def todo(done: int) -> tuple[str, dict[str, list[str]]]:
        marks = ["[x]"] * done + ["[~]"] + ["[ ]"] * len(plan)
        return "todo", {"items": [f"{mark} {step}" for mark, step in zip(marks, plan, strict=False)]}

    steps = [
        calls(todo(0), thought="The question has three parts: the damage, the person, the price. I plan first."),
        calls(
            ("search", {"queries": ["flood of 1822 damage to the mill", "who rebuilt the tidal mill", "水车 大水"]}),
            thought="Three queries at once; the Chinese one is to see whether other floods get in the way.",
        ),
        calls(
            ("open", {"targets": ["skerrow-tidal-mill", "skerrow-flood-1822", "archive-scollay-diary"]}),
            todo(1),
            thought="Search results are leads. I read the three documents whole, the diary as the witness.",
        ),
        calls(
            (
                "note",
                {"findings": ["Forty-one people drowned [skerrow-flood-1822#1]", "Rebuilt [skerrow-tidal-mill#2]"]},
            ),
            ("file", {"command": "write", "path": "report.md", "text": draft}),
            todo(3),
            thought="I have what there is. I draft in a file, so that I can correct single places.",
        ),
        calls(
            ("file", {"command": "patch", "path": "report.md", "anchor": "the flood", "text": "the surge"}),
            thought="I would rather say surge.",
        ),
        calls(
            (
                "file",
                {
                    "command": "patch",
                    "path": "report.md",
                    "anchor": "The present building of red sandstone was put up in 1827",
                    "text": "The present building of red sandstone was put up in 1825",
                },
            ),
            thought="That was ambiguous, and not worth it. But the year is wrong: the source says 1825.",
        ),
        calls(("open", {"targets": ["https://example.org/mill"]}), thought="Is there anything on the web?"),
    ]
    if "tides_working_hours" in tools:
        hours = {"place": "Voe"}
        steps.append(
            calls(("tides_working_hours", hours), thought="An MCP server knows tides: how long could it grind?")
        )
    if "shell" in tools:
        count = {"command": "wc -w report.md && ls -la /workspace && id -u"}
        steps.append(calls(("shell", count), thought="No web here. Is it half a page? I count the words."))
    without = f"I cannot count its words ({'; '.join(missing)}), so I read it." if missing else ""
    steps += [
        calls(("file", {"command": "read", "path": "report.md", "first_line": 7, "last_line": 9}), thought=without),
        calls(("file", {"command": "list"}), todo(4), thought="Read once more; it is in order."),
        says("report.md"),
    ]
    return steps
