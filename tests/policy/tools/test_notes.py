"""What was learned stays when older turns are taken out."""

from __future__ import annotations

import pytest

from policy.config import AgentConfig
from policy.context import compaction
from policy.errors import ToolError
from policy.models.scripted import calls, says
from policy.sources import Source, Sources
from policy.tools.notes import note


@pytest.mark.parametrize("findings", [[], [" "], ["x"] * 21, ["x" * 601]])
def test_empty_and_oversized_notes_are_refused(findings):
    with pytest.raises(ToolError):
        note(findings)


async def test_notes_and_what_was_said_of_a_source_survive_every_compaction(bench):
    def seen() -> str:
        """Shows a source.

        Args:
        """
        return "[mill#2] Rebuilt in 1825. " + "Long. " * 150

    steps = [
        calls(("note", {"findings": ["The mill was rebuilt in 1825 [mill#2]"]}), thought="By mill#2 it is red."),
        *(calls(("seen", {}), thought=f"Step {n}.") for n in range(12)),
        calls(("note", {"findings": []})),
        *(calls(("seen", {}), thought=f"Step {n}.") for n in range(12, 20)),
        says("done"),
    ]
    b = bench(steps, note, seen, context={"tokens": 1200, "keep_turns": 2})
    assert isinstance(b.config, AgentConfig)
    episode = await b.run()
    assert episode.status == "done"
    summaries = [event.summary["content"] for event in b.events if hasattr(event, "summary")]
    assert len(summaries) > 2
    assert all("- The mill was rebuilt in 1825 [mill#2]" in summary for summary in summaries)


def test_sentences_that_name_a_source_that_was_seen_are_findings():
    sources = Sources()
    sources.add(Source("mill#2", "Mill", "mill.md", "x"))
    said = "I think so. By mill#2 it was rebuilt in 1825! By ghost#9 it was not."
    history = [
        {"role": "system", "content": ""},
        {"role": "user", "content": ""},
        {"role": "assistant", "content": said},
    ]
    text = compaction(history, 3, "", sources, [], 4000)["content"]
    assert "- By mill#2 it was rebuilt in 1825!" in text
    assert "ghost" not in text
