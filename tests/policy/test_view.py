"""The live view shows text, whatever it is given."""

from __future__ import annotations

import io

from rich.console import Console

from policy.config import BudgetConfig
from policy.models.scripted import calls, says
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
