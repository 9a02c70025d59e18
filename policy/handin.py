"""What a reply hands in as the report: its own words, or the file of the workspace that they are about."""

from __future__ import annotations

import re

from policy.errors import ToolError
from policy.events import Replied
from policy.model import Completion
from policy.models.marks import has_call
from policy.whole import whole_text
from policy.workspace.files import Workspace

__all__ = ["report", "words"]

_NAME = re.compile(r"[\w./-]{1,200}\.(?:md|markdown|txt|html|tex)\b", re.ASCII)
_SHORT = 400
"""Characters of a reply that only points at a file. A report that happens to name one is longer."""


def report(reply: Replied, workspace: Workspace) -> tuple[str, str]:
    """The report, empty where there is none, and what is to be said of it.

    Only of the last turn is a draft taken that the reply does not name: it should have been a report and is none.
    """
    content = reply.message["content"].strip()
    name = content.strip("`").removeprefix("report:").strip()
    if (text := _file(name, workspace)) is not None:
        return text, ""
    if len(content) <= _SHORT:
        named = dict.fromkeys(_NAME.findall(content[:_SHORT]))
        texts = [(name, text) for name in named if (text := _file(name, workspace)) is not None]
        if len(texts) == 1 and len(texts[0][1]) > len(content):
            return texts[0][1], ""
    is_report = bool(content) and not reply.message.get("tool_calls") and not reply.malformed
    if is_report and not has_call(content):
        return content, "the report is cut off at the length limit of a reply" if reply.finish == "length" else ""
    if reply.final and (text := _file("report.md", workspace)) is not None:
        return text, "the last reply was no report; this is report.md as it was left"
    return "", ""


def words(reply: Completion) -> str:
    """What a reply says that was asked for words; empty where it is calls, or what looks like one."""
    text = whole_text(reply.content).strip()
    if not text or reply.tool_calls or reply.malformed or has_call(text):
        return ""
    return f"{text} [cut off here at the length limit of a reply]" if reply.finish == "length" else text


def _file(name: str, workspace: Workspace) -> str | None:
    """The text of a file of the workspace; None where there is none to hand in."""
    if not name or len(name) >= 200 or "\n" in name or not workspace.exists(name):
        return None
    try:
        return workspace.read(name).strip() or None
    except ToolError:
        return None
