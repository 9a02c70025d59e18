"""What a killed agent left behind: tmux servers and control groups, which no parent's death ends.

Their names carry the process that made them. The next agent of the same user that starts a shell ends those whose
process is gone.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from policy.tools.cgroup import Cgroup, is_dead, maker

__all__ = ["prefix", "sweep"]

log = logging.getLogger(__name__)

_PREFIX = "judger-shell-"


def prefix() -> str:
    """How the folder of a shell's socket begins."""
    return f"{_PREFIX}{maker()}-"


def sweep() -> None:
    """End what dead processes of this user left. What cannot be ended is logged and stays."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        mark = folder.name.removeprefix(_PREFIX).partition("-")[0]
        try:
            if not is_dead(mark) or folder.lstat().st_uid != os.geteuid():
                continue
            subprocess.run(
                ["tmux", "-S", str(folder / "socket"), "kill-server"], capture_output=True, timeout=10, check=False
            )
            shutil.rmtree(folder)
        except (OSError, subprocess.TimeoutExpired) as error:
            log.warning("%s was left by a dead process and stays: %s", folder, error)
    for group in Cgroup.of_dead():
        try:
            group.close()
        except OSError as error:
            log.warning("a control group of a dead process stays: %s", error)
