"""A control group that caps the processes and the memory of everything started in it, versions 1 and 2.

RLIMIT_NPROC does not bind root's processes, so where the agent runs as root this is what stops a fork bomb.
"""

from __future__ import annotations

import os
import secrets
import signal
import time
from pathlib import Path

__all__ = ["Cgroup", "is_dead", "maker"]

_PREFIX = "judger-agent-"


def maker() -> str:
    """This process, as it stands in the names of what it makes: its number, and where that number counts."""
    return f"{os.stat('/proc/self/ns/pid').st_ino}.{os.getpid()}"


def is_dead(mark: str) -> bool:
    """Whether `maker()` gave this mark to a process that is gone. Nothing is known of other namespaces' processes."""
    namespace, _, process = mark.partition(".")
    is_ours = namespace == maker().partition(".")[0] and process.isdigit()
    return is_ours and not Path("/proc", process).exists()


class Cgroup:
    """Made by `create`, removed by `close` with everything in it. The folders are those a process joins."""

    def __init__(self, folders: tuple[Path, ...]) -> None:
        self._folders = folders

    @classmethod
    def create(cls, *, processes: int, memory_bytes: int, root: Path = Path("/sys/fs/cgroup")) -> Cgroup:
        """Raises OSError where the system has no such groups or does not let us make one."""
        name = f"{_PREFIX}{maker()}-{secrets.token_hex(4)}"
        if (root / "cgroup.controllers").exists():
            (root / "cgroup.subtree_control").write_text("+pids +memory")
            wanted = {root / name: {"pids.max": processes, "memory.max": memory_bytes, "memory.swap.max": 0}}
        else:
            wanted = {
                root / "pids" / name: {"pids.max": processes},
                root / "memory" / name: {"memory.limit_in_bytes": memory_bytes},
            }
        made = cls(tuple(wanted))
        try:
            for folder, limits in wanted.items():
                folder.mkdir()
                for file, limit in limits.items():
                    if file != "memory.swap.max" or (folder / file).exists():  # absent on kernels without swap accounts
                        (folder / file).write_text(str(limit))
        except OSError:
            made.close()
            raise
        return made

    @classmethod
    def of_dead(cls, root: Path = Path("/sys/fs/cgroup")) -> list[Cgroup]:
        """The groups that processes left which are no longer there."""
        found = [*root.glob(f"{_PREFIX}*"), *root.glob(f"*/{_PREFIX}*")]
        return [cls((folder,)) for folder in found if is_dead(folder.name.removeprefix(_PREFIX).partition("-")[0])]

    @property
    def join(self) -> tuple[Path, ...]:
        """The files to which a process writes 0 to be in the group."""
        return tuple(folder / "cgroup.procs" for folder in self._folders)

    def count(self) -> int:
        """How many processes are in it."""
        return len(self._members())

    def close(self, *, seconds: float = 5.0) -> None:
        """Kill what is in it and remove it. A killed process needs a moment to be gone."""
        deadline = time.monotonic() + seconds
        while True:
            for process in self._members():
                try:
                    os.kill(process, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            try:
                for folder in self._folders:
                    if folder.exists():
                        folder.rmdir()
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def _members(self) -> set[int]:
        found: set[int] = set()
        for folder in self._folders:
            try:
                found.update(int(line) for line in (folder / "cgroup.procs").read_text().split())
            except FileNotFoundError:
                continue
        return found
