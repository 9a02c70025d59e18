"""What a killed agent left behind: tmux servers and control groups, which no parent's death ends.

Their names carry the process that made them. The next agent of the same user that starts a shell ends those whose
process is gone.
"""

from __future__ import annotations

import logging
import os
import subprocess
import tempfile
from pathlib import Path

from policy.errors import ToolError
from policy.sandbox.cgroup import Cgroup, is_dead, maker
from policy.workspace.removal import remove_tree

__all__ = ["new_folder", "prefix", "socket", "sweep"]

log = logging.getLogger(__name__)

_PREFIX = "judger-shell-"
_LONGEST_SOCKET = 107  # bytes: sun_path of unix(7), less its end


def prefix() -> str:
    """How the folder of a shell's socket begins."""
    return f"{_PREFIX}{maker()}-"


def new_folder() -> str:
    """A new folder for a shell's socket. Raises ToolError where its path leaves no room for one."""
    folder = tempfile.mkdtemp(prefix=prefix())
    if (length := len(os.fsencode(socket(folder)))) > _LONGEST_SOCKET:
        Path(folder).rmdir()
        raise ToolError(
            f"The shell cannot be started: the path of its socket has {length} bytes, {_LONGEST_SOCKET} at most. "
            f"Set TMPDIR to a shorter folder than {tempfile.gettempdir()}."
        )
    return folder


def socket(folder: str | Path) -> str:
    """The path of the tmux server's socket in its folder."""
    return str(Path(folder, "socket"))


def sweep() -> None:
    """End what dead processes of this user left. What cannot be ended is logged and stays."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        mark = folder.name.removeprefix(_PREFIX).partition("-")[0]
        try:
            if not is_dead(mark) or folder.lstat().st_uid != os.geteuid():
                continue
            subprocess.run(["tmux", "-S", socket(folder), "kill-server"], capture_output=True, timeout=10, check=False)
            remove_tree(folder)
        except (OSError, subprocess.TimeoutExpired) as error:
            log.warning("%s was left by a dead process and stays: %s", folder, error)
    for group in Cgroup.of_dead():
        try:
            group.close()
        except OSError as error:
            log.warning("a control group of a dead process stays: %s", error)
