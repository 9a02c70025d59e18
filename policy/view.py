"""The live view: what happens scrolls by, the reply that is being written, plan and budget stay below. Plain lines, of
whole events, where there is no terminal."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Iterator
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
from policy.model import Piece
from policy.whole import loads

__all__ = ["LiveView"]

_MARKS = {"[x]": ("✓", "green"), "[~]": ("›", "yellow"), "[ ]": ("·", "dim")}


_SHOWN = {"thought": ("…", "italic dim", 600), "content": ("…", "", 1200), "call": ("→", "cyan", 300)}
"""Mark, style, and characters from the end of what is being written."""


_PARTS = 3
"""Thought, words and a call, or the latest calls: shown while they are written."""
_PANEL_LINES = 11
"""Of plan and budget, without the plan, and what stands above it."""


class LiveView:
    """A listener to events and a `policy.model.Observer`. Everything shown is text: no markup, no escape sequences of
    a page reaches the terminal."""

    def __init__(self, budget: BudgetConfig, console: Console | None = None) -> None:
        self._budget = budget
        self._console = console or Console(stderr=True)
        self._state = Episode()
        self._waiting_since = time.monotonic()
        self._written: dict[tuple[str, int], str] = {}
        """The end of each part of the reply that is being written."""
        self._characters = 0
        # Drawn by one thread: rich's own one would draw between the lines of an event, and leave parts of it behind.
        self._live = Live(console=self._console, auto_refresh=False, get_renderable=self._footer)
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
            self._tick()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._console.is_terminal:
            self._live.stop()

    def __call__(self, event: Event) -> None:
        self._state.apply(event)
        self.begins()
        for line in self._lines(event):
            self._console.print(line)

    def begins(self) -> None:
        self._waiting_since = time.monotonic()
        self._written, self._characters = {}, 0

    def writes(self, piece: Piece) -> None:
        part = (piece.kind, piece.call)
        text = self._written.get(part, f"{piece.name} " if piece.name else "") + piece.text
        most = _SHOWN[piece.kind][2]
        self._written[part] = text if len(text) < 4 * most else text[-most:]
        self._characters += len(piece.text)

    def waits(self, seconds: float, reason: str) -> None:
        self.begins()
        self._console.print(_line("!", f"asked again in {seconds:.3g} s: {reason}", "yellow", 300))

    def _tick(self) -> None:
        self._live.refresh()
        with contextlib.suppress(RuntimeError):  # a replay has no loop, and nothing in it waits
            self._timer = asyncio.get_running_loop().call_later(0.15, self._tick)

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
                how = ", written by the model" if event.written else ""
                return [_line("~", f"history compacted: {count} messages became a summary{how}", "magenta")]
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
            seconds = time.monotonic() - self._waiting_since
            said = f"writing, {self._characters:,} characters" if self._characters else "waiting"
            parts.append(Text(f"{said}, {seconds:.0f} s", "dim"))
        panel = Panel(Group(*parts, table), title="plan and budget", title_align="left", border_style="dim")
        return Group(*self._writing(), panel)

    def _writing(self) -> Iterator[RenderableType]:
        """The end of what is being written: the last lines of its last parts, as many as there is room for."""
        lines = max(1, (self._console.height - _PANEL_LINES - self._state.todo.count("\n")) // _PARTS)
        for (kind, _), text in list(self._written.items())[-_PARTS:]:
            mark, style, most = _SHOWN[kind]
            end = Text(clean(text[-most:]).strip()).wrap(self._console, max(20, self._console.width - 6))
            yield _row(mark, "\n".join(line.plain.rstrip() for line in end[-lines:]), style)


def _line(mark: str, words: str, style: str, most: int = 1000) -> RenderableType:
    words = clean(" ".join(words[: most * 2].split()))
    return _row(mark, words if len(words) <= most else words[: most - 1] + "…", style)


def _row(mark: str, words: str, style: str) -> RenderableType:
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
