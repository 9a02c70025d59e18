"""`shell`: one bash session with a scrollback, in tmux (libtmux), behind the walls of `policy.sandbox.walls`."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from pathlib import Path

from policy.config import ShellConfig
from policy.errors import ToolError
from policy.sandbox import leftovers, walls
from policy.sandbox.cgroup import Cgroup
from policy.sandbox.session import Session
from policy.workspace.removal import discard

__all__ = ["ShellTool"]

log = logging.getLogger(__name__)

_MAX_COMMAND = 20_000


class ShellTool:
    """Started at the first call, ended by `aclose`. tmux is asked in threads, so the event loop never waits for it."""

    def __init__(self, workspace: Path, config: ShellConfig) -> None:
        self._workspace = workspace
        self._config = config
        self._session: Session | None = None
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
        if "\0" in command:
            raise ToolError("A command cannot hold a null character. Nothing was run.")
        limit = min(wait, 60.0) if wait > 0 else self._config.wait_seconds
        async with self._lock:
            if restart:
                await asyncio.to_thread(self._end)
            session, note = await asyncio.to_thread(self._ensure)
            session.hear()
            if command and session.status is None:
                shown = "\n".join((await asyncio.to_thread(session.screen))[-30:])
                raise ToolError(f"A program is still running; send it keys such as C-c, or restart. It shows:\n{shown}")
            if command.strip():
                await asyncio.to_thread(session.run, command)
            elif keys:
                await asyncio.to_thread(session.press, keys)
            await session.ready(limit, is_still_enough=not command.strip())
            return note + await asyncio.to_thread(self._answer, session, whole=bool(command))

    def _answer(self, session: Session, *, whole: bool) -> str:
        """What is on the screen, and how things stand."""
        lines = session.screen(whole=whole) if whole else session.screen()[-30:]
        text = "\n".join(lines)
        if whole and session.may_be_cut():
            text = f"[these are the last {len(lines):,} lines; what was before them is not kept]\n{text}"
        if session.status is not None:
            return f"{text or '(no output)'}\n[exit status {session.status}]"
        if session.is_dead():
            shown = f"{text}\n" if text else ""
            return f"{shown}The session has ended{session.ending()}; the next call starts a new one."
        return f"{text or '(nothing yet)'}\n[still running]"

    async def aclose(self) -> None:
        """End the session and everything started in it, for good."""
        self._is_closed = True
        await asyncio.to_thread(self._end)

    def _ensure(self) -> tuple[Session, str]:
        """The session that runs, or a new one and a note where an old one is gone."""
        with self._starting:
            if self._is_closed:
                raise ToolError("The episode is over.")
            was_there = self._session is not None
            if self._session is not None:
                if not self._session.is_dead():
                    return self._session, ""
                self._close(self._session)
            leftovers.sweep()
            self._session = Session.start(self._workspace, self._config, self._new_group())
            return self._session, "[The session had ended; this is a new one.]\n" if was_there else ""

    def _end(self) -> None:
        with self._starting:
            if self._session is not None:
                self._close(self._session)

    def _new_group(self) -> Cgroup | None:
        if os.geteuid() != 0:
            return None  # RLIMIT_NPROC holds for everyone but root
        try:
            return walls.new_cgroup(self._config)
        except OSError as error:
            if self._config.allow_unsandboxed:
                return None
            raise ToolError(f"The shell cannot be started: {error}") from error

    def _close(self, session: Session) -> None:
        self._session = None
        try:
            session.close()
        except OSError as error:  # the report is worth more than an empty group that stays
            log.warning("the control group of a shell could not be removed: %s", error)
        discard(session.folder)
