"""One bash in a tmux pane, and how its host knows that a command is over.

Nothing is told from what stands on the screen, which any program can write. A command is put into a file that the shell
sources, so that nothing of it is typed, expanded or completed; when bash is ready for the next, its PROMPT_COMMAND
writes the number of the prompt and the exit status into a pipe. The same number goes through the terminal as the pane's
title: once it is there, tmux has shown all that was written before. There is no prompt, and the screen is emptied as a
command begins, so that what it holds is the command's output. What would change how a typed line is read is kept off:
`bind`, an .inputrc, vi's editing (in which a terminal's answer to a program, ESC first, is a command), keys of the
terminal that are letters. What can't be is for a restart.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from policy.config import ShellConfig
from policy.errors import ToolError
from policy.sandbox import leftovers, walls
from policy.sandbox.cgroup import Cgroup

__all__ = ["Session"]

_HISTORY = 20_000
_TMUX = """\
set -g default-shell /bin/sh
set -g history-limit {history}
set -g status off
set -g set-clipboard off
set -g allow-rename off
set -g remain-on-exit on
set -gq remain-on-exit-format " "
"""
_RC = r"""
__ready() {{
    builtin printf '%s %s\n' "$((++__prompts))" "$?" >{pipe}
    builtin printf '\033]2;%s\033\\' "$__prompts" >/dev/tty
    builtin set -o emacs
    PS1= PS2= PS0=$'\033[0m\033[H\033[2J\033[3J'
}}
set +H
bind 'set bind-tty-special-chars off'
enable -n bind
PROMPT_COMMAND=__ready
readonly -f __ready
readonly PROMPT_COMMAND
"""
_START_SECONDS = 15.0
_LAG_SECONDS = 5.0
"""How long tmux may need for what was written before a prompt, and the shell's end to be told."""


class Session:
    """Made by `start`; its methods block for some milliseconds, except `ready`, which waits."""

    def __init__(self, server: Any, pane: Any, control: Path, seen: str, group: Cgroup | None) -> None:
        self.group = group
        self.folder = control.parent
        self._server, self._pane, self._control, self._seen = server, pane, control, seen
        # Open for both, so that the shell's end never waits for a reader and ours never sees an end.
        self._pipe = os.open(control / "status", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._said = b""
        self._commands = self._number = 0
        self._end: int | None = None
        self._tty, self._keys = "", list[Any]()
        self.status: int | None = None
        """Of the last command; None while something runs."""

    @classmethod
    def start(cls, workspace: Path, config: ShellConfig, group: Cgroup | None) -> Session:
        """Raises ToolError where no shell comes up."""
        import libtmux

        folder = Path(leftovers.new_folder())
        control = folder / "control"  # apart from the socket, over which a program could give tmux orders
        control.mkdir()
        os.mkfifo(control / "status")
        line, seen = walls.command(workspace, control, config, group)
        line += f'; echo "end $?" >{shlex.quote(str(control / "status"))}'  # tmux may not know it
        (control / "rc").write_text(_RC.format(pipe=shlex.quote(f"{seen}/status")))
        (folder / "tmux.conf").write_text(_TMUX.format(history=_HISTORY))
        server = libtmux.Server(socket_path=leftovers.socket(folder), config_file=str(folder / "tmux.conf"))
        made = server.new_session(window_command=line, x=180, y=50, start_directory=str(workspace))
        session = cls(server, made.active_window.active_pane, control, seen, group)
        deadline = time.monotonic() + _START_SECONDS
        while session.status is None:
            if time.monotonic() > deadline or session.is_dead():
                shown = "\n".join(session.screen()[-30:])
                session.close()
                raise ToolError(f"The shell does not come up. It shows:\n{shown or '(nothing)'}")
            time.sleep(0.01)
            session.hear()
        session.keep_keys()
        return session

    def hear(self) -> None:
        """Take in what the shell has said."""
        with contextlib.suppress(BlockingIOError):
            # What a program floods the pipe with is its own affair; the last line counts.
            self._said = (self._said + os.read(self._pipe, 65_536))[-256:]
        lines = self._said.split(b"\n")
        self._said = lines.pop()
        for words in (line.split() for line in lines):
            if len(words) != 2 or not words[1].isdigit():
                continue
            if words[0] == b"end":
                self._end = int(words[1])
            elif words[0].isdigit():
                self._number, self.status = int(words[0]), int(words[1])

    def keep_keys(self) -> None:
        """Remember which keys mean something to the terminal itself."""
        self._tty = self._tell("#{pane_tty}")
        with self._terminal() as handle:
            self._keys = termios.tcgetattr(handle)[6]

    def _put_keys_back(self) -> None:
        """`stty kill b` and the like would take a letter out of what is typed."""
        with contextlib.suppress(OSError, termios.error), self._terminal() as handle:  # it ends just now
            now = termios.tcgetattr(handle)
            now[0] &= ~(termios.IGNCR | termios.ISTRIP)
            as_they_are = (termios.VMIN, termios.VTIME)  # how the program that reads is given what was typed
            now[6] = [now[6][n] if n in as_they_are else key for n, key in enumerate(self._keys)]
            termios.tcsetattr(handle, termios.TCSANOW, now)

    @contextlib.contextmanager
    def _terminal(self) -> Iterator[int]:
        handle = os.open(self._tty, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            yield handle
        finally:
            os.close(handle)

    def run(self, command: str) -> None:
        """Begin a command; the shell must be ready."""
        self._commands += 1
        name = f"command-{self._commands}"
        (self._control / name).write_text(command.rstrip("\n") + "\n", encoding="utf-8", errors="replace")
        self.status = None
        self._put_keys_back()
        # What a program left in the terminal, and what stands in the line, must not become part of it. One order to
        # tmux, since each is a process of its own.
        line = f" \\builtin . {shlex.quote(f'{self._seen}/{name}')}"
        keys = [["-R"], ["C-e", "C-u"], ["-l", line], ["Enter"]]
        orders = [word for one in keys for word in (";", "send-keys", "-t", self._pane.pane_id, *one)]
        self._server.cmd(*orders[1:])

    def press(self, keys: list[str]) -> None:
        """Keys by tmux's names. Behind an Enter, a prompt will say that it is ready."""
        if any(key in ("Enter", "C-m", "C-j", "C-c", "C-d") for key in keys):
            self.status = None
        self._pane.cmd("send-keys", "--", *keys)

    async def ready(self, seconds: float, *, is_still_enough: bool = False) -> bool:
        """Wait until the shell is ready or has ended, and tmux has shown everything; False when time was up first.

        With `is_still_enough`, also until the screen stands still while something runs.
        """
        loop, heard = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._pipe, heard.set)
        pause, last = 0.1, None
        try:
            async with asyncio.timeout(seconds):
                while True:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(pause):
                            await heard.wait()
                    heard.clear()
                    self.hear()
                    if self.status is not None:
                        await self._shown()
                        return True
                    if self._end is not None or await asyncio.to_thread(self.is_dead):
                        return True
                    if is_still_enough:
                        shown = await asyncio.to_thread(self.screen)
                        if shown == last and pause > 0.2:
                            return False
                        last = shown
                    pause = min(0.4, pause * 1.5)
        except TimeoutError:
            return False
        finally:
            loop.remove_reader(self._pipe)

    async def _shown(self) -> None:
        """Wait until tmux has taken in what was written before the prompt."""
        deadline = time.monotonic() + _LAG_SECONDS
        while time.monotonic() < deadline:
            title = await asyncio.to_thread(self._tell, "#{pane_title}")
            if title == str(self._number):
                return
            await asyncio.sleep(0.01)

    def is_dead(self) -> bool:
        """Whether the shell has ended, or tmux itself."""
        return self._end is not None or self._tell("#{pane_dead}") != "0"

    def ending(self) -> str:
        """How the shell ended."""
        deadline = time.monotonic() + _LAG_SECONDS
        while self._end is None and time.monotonic() < deadline:  # the terminal is closed before the status is told
            time.sleep(0.01)
            self.hear()
        return "" if self._end is None else f" with exit status {self._end}"

    def screen(self, *, whole: bool = False) -> list[str]:
        """The lines on the screen, or with `whole` all that is kept; none where tmux is gone."""
        reply = self._pane.cmd("capture-pane", "-p", "-J", *(("-S", "-") if whole else ()))
        lines = [line.rstrip() for line in reply.stdout]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def may_be_cut(self) -> bool:
        """Whether so much was written that its beginning may be gone: tmux drops a tenth of its lines at a time."""
        size = self._tell("#{history_size}")
        return size.isdigit() and int(size) >= _HISTORY * 9 // 10

    def _tell(self, what: str) -> str:
        reply = self._pane.cmd("display-message", "-p", what)
        return reply.stdout[0] if reply.stdout else ""

    def close(self) -> None:
        """End everything in it. Raises OSError where its control group stays."""
        self._server.cmd("kill-server")
        os.close(self._pipe)
        if self.group is not None:
            self.group.close()
