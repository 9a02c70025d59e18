"""The command that confines a shell: bubblewrap, with resource limits. Only Linux has what it takes.

Inside there are the system's programs, read-only, an empty /tmp, and the workspace at /workspace. No network, no other
process, no environment of ours, no way to gain a capability or to make another namespace.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from functools import cache
from pathlib import Path

from policy.config import ShellConfig
from policy.sandbox.cgroup import Cgroup

__all__ = ["INSIDE", "command", "missing", "new_cgroup"]

INSIDE = "/run/shell"
"""Where a shell behind the walls finds its control folder, read-only: its pipe can be written to all the same."""

_ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/tmp",
    "LANG": "C.UTF-8",
    "TERM": "screen",
    "INPUTRC": "/dev/null",
}
_TMP_BYTES = 64 * 2**20


def missing(config: ShellConfig) -> str:
    """Why there can be no shell here; empty where there can."""
    if shutil.which("tmux") is None:
        return "tmux is not installed"
    if config.allow_unsandboxed:
        return ""
    reason = _sandbox_fault()
    if reason:
        return reason
    if os.geteuid() == 0:
        try:
            new_cgroup(config).close()
        except OSError as error:
            return f"as root, processes can only be limited by control groups, and none can be made: {error}"
    return ""


@cache
def _sandbox_fault() -> str:
    if shutil.which("bwrap") is None:
        return "bubblewrap is not installed"
    tried = subprocess.run(["bwrap", *_walls(), "true"], capture_output=True, text=True, timeout=20, check=False)
    if tried.returncode:
        return f"bubblewrap does not work here: {tried.stderr.strip()[:200]}"
    return ""


def new_cgroup(config: ShellConfig) -> Cgroup:
    """The group of one shell. Raises OSError."""
    return Cgroup.create(processes=config.processes, memory_bytes=config.memory_bytes)


def command(workspace: Path, control: Path, config: ShellConfig, group: Cgroup | None) -> tuple[str, str]:
    """The line that tmux runs (join the group, go behind the walls, set the limits, start bash), and where the shell
    that it starts finds the folder `control`, whose file `rc` it reads first."""
    settings = [f"{key}={value}" for key, value in _ENVIRONMENT.items()]
    limits = [
        "prlimit", f"--cpu={config.cpu_seconds}", f"--fsize={config.file_bytes}", "--core=0",
        f"--as={config.memory_bytes}", f"--nproc={config.processes}", "--nofile=256",
    ]  # fmt: skip
    is_walled = not _sandbox_fault()  # else allowed explicitly, see `missing`
    seen = INSIDE if is_walled else str(control)
    shell = ["bash", "--noprofile", "--rcfile", f"{seen}/rc", "-i"]
    if not is_walled:
        inner = ["env", "-i", *settings, *limits, *shell]
        start = f"cd {shlex.quote(str(workspace))} && {shlex.join(inner)}"
    else:
        variables = [word for key, value in _ENVIRONMENT.items() for word in ("--setenv", key, value)]
        home = ["--bind", str(workspace), "/workspace", "--chdir", "/workspace", "--ro-bind", str(control), INSIDE]
        # A bash that is started within it, or in its place, says too when it is ready.
        home += ["--ro-bind", str(control / "rc"), f"{_ENVIRONMENT['HOME']}/.bashrc", "--remount-ro", "/"]
        start = f"{shlex.join(['bwrap', *_walls(), *home, '--clearenv', *variables, *limits, *shell])}"
    joins = [f"echo 0 > {shlex.quote(str(file))} && " for file in (group.join if group else ())]
    return "".join(joins) + start, seen


def _walls() -> list[str]:
    walls = ["--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--cap-drop", "ALL"]
    walls += ["--uid", "1000", "--gid", "1000", "--hostname", "workspace", "--ro-bind", "/usr", "/usr"]
    for name in ("bin", "sbin", "lib", "lib32", "lib64"):
        path = Path("/", name)
        if path.is_symlink():
            walls += ["--symlink", os.readlink(path), str(path)]
        elif path.is_dir():
            walls += ["--ro-bind", str(path), str(path)]
    for file in ("/etc/alternatives", "/etc/ld.so.cache"):
        walls += ["--ro-bind-try", file, file]
    walls += ["--proc", "/proc", "--dev", "/dev"]
    # What can be written to is memory, which only a control group counts: each such place has its bound.
    for place in ("/dev/shm", "/tmp"):
        walls += ["--size", str(_TMP_BYTES), "--tmpfs", place]
    return [*walls, "--remount-ro", "/dev"]
