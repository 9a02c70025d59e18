"""`shell`: one bash session with a scrollback, in tmux (libtmux), behind the walls of `policy.sandbox.walls`."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import threading
import time
from pathlib import Path
from typing import Any

from policy.config import ShellConfig
from policy.errors import ToolError
from policy.sandbox import leftovers, walls
from policy.sandbox.cgroup import Cgroup
from policy.workspace.removal import discard

__all__ = ["ShellTool"]

log = logging.getLogger(__name__)

_PROMPT = re.compile(r"^\[(\d+):(\d+)\] [$#] ?(.*)$")
_TMUX = "set -g history-limit 20000\nset -g status off\nset -g set-clipboard off\nset -g allow-rename off\n"
_MAX_COMMAND = 20_000


class ShellTool:
    """Started at the first call, ended by `aclose`. tmux is asked in threads, so the event loop never waits for it."""

    def __init__(self, workspace: Path, config: ShellConfig) -> None:
        self._workspace = workspace
        self._config = config
        self._server: Any = None
        self._pane: Any = None
        self._group: Cgroup | None = None
        self._folder: str | None = None
        self._lock = asyncio.Lock()
        # A call that is given up leaves its thread behind; what it starts must not outlive the end.
        self._starting = threading.Lock()
        self._is_closed = False

    async def shell(
        self, command: str = "", keys: list[str] | None = None, wait: float = 0.0, restart: bool = False
    ) -> str:
        """Work in a bash session in your workspace (/workspace). There is no network.

        The session stays between calls. A program that is still running, or waits for input, goes on in it: call
        again with `keys` to talk to it, or with neither argument to see what it has written since.

        Args:
            command: What to run; several lines are allowed.
            keys: Keys for a running program, in tmux's names, such as ["C-c"], ["q"], ["y", "Enter"] or ["Up"].
            restart: End the session with everything in it and start a new one first.
            wait: Seconds to wait for the command to end, at most 60; 0 means the usual time.
        """
        if len(command) > _MAX_COMMAND:
            raise ToolError(
                f"The command is longer than {_MAX_COMMAND:,} characters; write a script with `file` first."
            )
        if command and keys:
            raise ToolError("Send either a command or keys, not both.")
        limit = min(wait, 60.0) if wait > 0 else self._config.wait_seconds
        async with self._lock:
            if restart:
                await asyncio.to_thread(self._restart)
            note = await asyncio.to_thread(self._ensure)
            before = await asyncio.to_thread(self._screen)
            number = _last_prompt(before)
            if command and number is None:
                raise ToolError(
                    f"A program is still running; send it keys such as C-c, or restart. It shows:\n{_tail(before)}"
                )
            await asyncio.to_thread(self._send, command, keys or [])
            done = await self._settle(number if command else None, limit)
            lines = await asyncio.to_thread(self._history)
        if lines is None:
            return f"{note}The session has ended; the next call starts a new one."
        return note + (_answer(lines, number, done, command) if command else _tail(lines))

    async def aclose(self) -> None:
        """End the session and everything started in it, for good."""
        self._is_closed = True
        await asyncio.to_thread(self._restart)

    async def _settle(self, number: int | None, seconds: float) -> bool:
        """Wait until a new prompt stands still, or time is up; whether it came."""
        deadline = time.monotonic() + seconds
        pause, last = 0.03, None
        while time.monotonic() < deadline:
            await asyncio.sleep(pause)
            pause = min(0.4, pause * 1.5)
            screen = await asyncio.to_thread(self._screen)
            if screen is None:
                return False
            current = _last_prompt(screen)
            if current is not None and current != number and screen == last:
                return True
            if number is None and screen == last and pause >= 0.2:
                return current is not None
            last = screen
        return False

    def _restart(self) -> None:
        with self._starting:
            self._end()

    def _ensure(self) -> str:
        with self._starting:
            return self._start()

    def _start(self) -> str:
        if self._is_closed:
            raise ToolError("The episode is over.")
        if self._pane is not None and self._screen() is not None:
            return ""
        was_there = self._pane is not None
        self._end()
        import libtmux

        leftovers.sweep()
        self._folder = leftovers.new_folder()
        config = Path(self._folder, "tmux.conf")
        config.write_text(_TMUX)
        self._group = self._new_group()
        self._server = libtmux.Server(socket_path=leftovers.socket(self._folder), config_file=str(config))
        line = walls.command(self._workspace, self._config, self._group)
        session = self._server.new_session(window_command=line, x=180, y=50, start_directory=str(self._workspace))
        self._pane = session.active_window.active_pane
        deadline = time.monotonic() + 10
        while _last_prompt(self._screen()) is None:
            if time.monotonic() > deadline:
                shown = _tail(self._screen())
                self._end()
                raise ToolError(f"The shell does not come up. It shows:\n{shown}")
            time.sleep(0.02)
        return "[The session had ended; this is a new one.]\n" if was_there else ""

    def _new_group(self) -> Cgroup | None:
        if os.geteuid() != 0:
            return None  # RLIMIT_NPROC holds for everyone but root
        try:
            return walls.new_cgroup(self._config)
        except OSError as error:
            if self._config.allow_unsandboxed:
                return None
            raise ToolError(f"The shell cannot be started: {error}") from error

    def _send(self, command: str, keys: list[str]) -> None:
        if command:
            # As a paste, so that tabs complete nothing and several lines arrive as one.
            self._pane.cmd("set-buffer", "--", command.rstrip("\n"))
            self._pane.cmd("paste-buffer", "-p", "-d")
            self._pane.cmd("send-keys", "Enter")
        elif keys:
            self._pane.cmd("send-keys", "--", *keys)

    def _screen(self) -> list[str] | None:
        return self._capture()

    def _history(self) -> list[str] | None:
        return self._capture("-S", "-")

    def _capture(self, *options: str) -> list[str] | None:
        reply = self._pane.cmd("capture-pane", "-p", "-J", *options)
        if reply.stderr:
            return None
        lines = [line.rstrip() for line in reply.stdout]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def _end(self) -> None:
        server, group, folder = self._server, self._group, self._folder
        self._server = self._pane = self._group = self._folder = None
        if server is not None:
            server.cmd("kill-server")
        if group is not None:
            try:
                group.close()
            except OSError as error:  # the report is worth more than an empty group that stays
                log.warning("the control group of a shell could not be removed: %s", error)
        if folder is not None:
            discard(Path(folder))


def _last_prompt(lines: list[str] | None) -> int | None:
    """The number of the prompt that waits for input; None while something runs."""
    found = _PROMPT.match(lines[-1]) if lines else None
    return int(found.group(1)) if found and not found.group(3) else None


def _answer(lines: list[str], number: int | None, done: bool, command: str) -> str:
    """What the command that was typed at prompt `number` has written."""
    starts = [i for i, line in enumerate(lines) if (m := _PROMPT.match(line)) and int(m.group(1)) == number]
    # The terminal shows the command as typed, all of its lines, before it shows what came of it.
    body = lines[starts[-1] + 1 + command.rstrip("\n").count("\n") :] if starts else lines
    note = "" if starts else "[the beginning has scrolled away]\n"
    if not done:
        text = "\n".join(body) or "(nothing yet)"
        return f"{note}{text}\n[still running]"
    status = _PROMPT.match(body[-1]) if body else None
    text = "\n".join(body[:-1]) or "(no output)"
    return f"{note}{text}\n[exit status {status.group(2) if status else 'unknown'}]"


def _tail(lines: list[str] | None) -> str:
    return "\n".join((lines or [])[-30:]) or "(nothing)"
