"""The live view shows text, whatever it is given."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from policy.config import BudgetConfig
from policy.events import to_dict
from policy.model import Piece
from policy.models.scripted import ScriptedModel, calls, says
from policy.view import LiveView


async def test_a_terminal_shows_turns_calls_observations_plan_and_budget(bench):
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=120, color_system=None)
    b = bench([calls(("todo", {"items": ["[x] read", "[~] write"]}), thought="I plan."), says("done")])
    with LiveView(BudgetConfig(), console) as view:
        b.listeners.append(view)
        await b.run("Why?")
    shown = out.getvalue()
    for words in ("Why?", "I plan.", "→ todo items=", "List created", "✓ read", "› write", "2 of 30", "■ done"):
        assert words in shown


async def test_escape_sequences_and_markup_do_not_reach_the_terminal(bench):
    def page() -> str:
        """Opens a page.

        Args:
        """
        return "\x1b]0;owned\x07\x1b[2J[bold]hello[/bold] \x9b31m"

    out = io.StringIO()
    console = Console(file=out, force_terminal=False, width=120)
    b = bench([calls(("page", {}), thought="\x1b[2Jthink"), says("done")], page)
    b.listeners.append(LiveView(BudgetConfig(), console))
    await b.run()
    assert "\x1b" not in out.getvalue()
    assert "\x9b" not in out.getvalue()
    assert "[bold]hello[/bold]" in out.getvalue()


async def test_a_reply_is_seen_while_it_is_written_and_what_broke_off_is_gone(bench):
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100, color_system=None)
    view = LiveView(BudgetConfig(), console)

    def shown():
        out.seek(0)
        out.truncate()
        console.print(view._footer())
        return out.getvalue()

    view.begins()
    view.writes(Piece("thought", "The mill \x1b[2Jis"))
    view.writes(Piece("content", "[bold]# Report\n" + "line\n" * 900 + "the end"))
    view.writes(Piece("call", '{"queries": ["tide', 0, "search"))
    view.writes(Piece("call", ' mill"]}', 0, "search"))
    text = shown()
    for words in ("The mill is", "the end", 'search {"queries": ["tide mill"]}', "writing, "):
        assert words in text
    assert "\x1b" not in text
    assert text.count("line") < 10
    view.waits(3, "the stream broke off")
    assert "asked again in 3 s: the stream broke off" in out.getvalue()
    assert "The mill" not in shown()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (40, 20), (200, 60)])
def test_what_is_written_leaves_room_for_plan_and_budget(width, height):
    console = Console(file=io.StringIO(), force_terminal=True, width=width, height=height, color_system=None)
    view = LiveView(BudgetConfig(), console)
    view.writes(Piece("thought", "Thoughts without an end. " * 300))
    view.writes(Piece("content", "水车 " * 2000))
    for number in range(6):
        view.writes(Piece("call", '{"text": "' + "line\\n" * 400, number, "file"))
    lines = console.render_lines(view._footer())
    assert len(lines) <= height
    assert "plan and budget" in "".join(segment.text for line in lines for segment in line)


async def test_who_watches_changes_nothing_of_what_is_recorded(bench):
    """The same replies, seen in pieces or not, are the same episode."""
    steps = [calls(("todo", {"items": ["[x] read", "[~] write"]}), thought="I plan."), says("The report, done.")]
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    kept = []
    for observer in (None, LiveView(BudgetConfig(), console)):
        b = bench([])
        await b.agent(ScriptedModel(steps, observer=observer)).run(b.started("Why?"))
        kept.append([{k: v for k, v in to_dict(event).items() if k != "seconds"} for event in b.events])
    assert kept[0] == kept[1]
