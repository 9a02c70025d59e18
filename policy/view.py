"""The live view: what happens scrolls by, plan and budget stay below. Plain lines where there is no terminal."""

from __future__ import annotations

import json
import time
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from policy.config import BudgetConfig
from policy.context import clean
from policy.episode import Episode
from policy.events import Compacted, Event, Finished, Observed, Replied, Started
from policy.whole import loads

__all__ = ["LiveView"]

_MARKS = {"[x]": ("✓", "green"), "[~]": ("›", "yellow"), "[ ]": ("·", "dim")}


class LiveView:
    """An event listener. Everything shown is text: no markup, no escape sequences of a page reaches the terminal."""

    def __init__(self, budget: BudgetConfig, console: Console | None = None) -> None:
        self._budget = budget
        self._console = console or Console(stderr=True)
        self._state = Episode()
        self._waiting_since = time.monotonic()
        self._live = Live(console=self._console, refresh_per_second=8, get_renderable=self._footer)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def __call__(self, event: Event) -> None:
        self._state.apply(event)
        self._waiting_since = time.monotonic()
        for line in self._lines(event):
            self._console.print(line)

    def note(self, text: str) -> None:
        """Show a line that is no event."""
        self._console.print(_line("i", text, "dim"))

    def _lines(self, event: Event) -> list[RenderableType]:
        match event:
            case Started():
                tools = ", ".join(schema["function"]["name"] for schema in event.tools)
                return [_line("?", event.query, "bold"), _line(" ", f"model {event.model}; tools {tools}", "dim")]
            case Replied():
                return self._reply(event)
            case Observed(name=""):
                return [_line("!", event.message["content"], "yellow", 300)]
            case Observed():
                text = event.message["content"].removesuffix(event.footer)
                stored = f" → {event.stored}" if event.stored else ""
                size = f"{len(text):,} characters, {len(event.sources)} sources, {event.seconds:.2f} s{stored}"
                first = " ".join(text.split())
                style = "red" if event.is_error else "dim"
                return [_line("✗" if event.is_error else "=", first, style, 240), _line(" ", size, "dim italic")]
            case Compacted():
                count = event.keep_from - 2
                return [_line("~", f"history compacted: {count} messages became a summary", "magenta")]
            case Finished():
                style = {"done": "bold green", "forced": "bold yellow", "failed": "bold red"}[event.status]
                reason = f": {event.reason}" if event.reason else ""
                return [_line("■", f"{event.status}{reason}, {len(event.report):,} characters of report", style)]

    def _reply(self, event: Replied) -> list[RenderableType]:
        lines: list[RenderableType] = [
            _line(f"{event.turn}", f"{event.completion_tokens} tokens, {event.seconds:.1f} s", "bold cyan")
        ]
        thought = event.message.get("reasoning_content") or ""
        words = event.message.get("content") or ""
        if thought:
            lines.append(_line("…", thought, "italic", 500))
        calls = event.message.get("tool_calls") or []
        if words and calls:
            lines.append(_line("…", words, "italic", 500))
        for call in calls:
            lines.append(
                _line("→", f"{call['function']['name']} {_arguments(call['function']['arguments'])}", "cyan", 400)
            )
        return lines

    def _footer(self) -> RenderableType:
        state, budget = self._state, self._budget
        table = Table.grid(padding=(0, 1))
        for name, used, most in (
            ("turns", state.turns, budget.turns),
            ("calls", state.tool_calls, budget.tool_calls),
            ("tokens", state.total_tokens, budget.total_tokens),
            ("seconds", int(state.seconds), int(budget.seconds)),
        ):
            bar = ProgressBar(total=max(1, most), completed=min(used, most), width=24)
            table.add_row(Text(name, "dim"), bar, Text(f"{used:,} of {most:,}", "dim"))
        if state.cost is not None:
            table.add_row(Text("cost", "dim"), "", Text(f"{state.cost:,.4f}", "dim"))
        parts: list[RenderableType] = []
        for item in state.todo.splitlines():
            mark, style = _MARKS.get(item[:3], ("·", "dim"))
            parts.append(Text(f"{mark} {clean(item[4:])}", style))
        if state.finished is None:
            parts.append(Text(f"waiting {time.monotonic() - self._waiting_since:.0f} s", "dim"))
        return Panel(Group(*parts, table), title="plan and budget", title_align="left", border_style="dim")


def _line(mark: str, words: str, style: str, most: int = 1000) -> RenderableType:
    words = clean(" ".join(words[: most * 2].split()))
    if len(words) > most:
        words = words[: most - 1] + "…"
    line = Table.grid(padding=(0, 1, 0, 0))
    line.add_column(width=3, justify="right")
    line.add_column()
    line.add_row(Text(mark, style), Text(words, style))
    return line


def _arguments(text: str) -> str:
    """The arguments in a form to read at a glance."""
    try:
        arguments = loads(text)
    except ValueError:
        return text
    if not isinstance(arguments, dict):
        return text
    return ", ".join(f"{key}={json.dumps(value, ensure_ascii=False)[:160]}" for key, value in arguments.items())
