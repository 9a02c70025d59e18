"""The shell: useful inside its walls, and nothing outside them."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

import pytest

from policy.config import ShellConfig
from policy.errors import ToolError
from policy.sandbox import leftovers, walls
from policy.tools.shell import ShellTool

CONFIG = ShellConfig(enabled=True, processes=24, memory_bytes=128 * 2**20, file_bytes=2**20, wait_seconds=20)
REASON = walls.missing(CONFIG)
pytestmark = pytest.mark.skipif(bool(REASON), reason=f"no shell here: {REASON}")


@pytest.fixture
async def shell(tmp_path):
    (tmp_path / "w").mkdir()
    tool = ShellTool(tmp_path / "w", CONFIG)
    yield tool
    await tool.aclose()


async def test_commands_share_a_session_and_report_output_and_status(shell):
    assert await shell.shell("cd /tmp && x=7") == "(no output)\n[exit status 0]"
    assert await shell.shell("pwd; echo $x; false") == "/tmp\n7\n[exit status 1]"
    lines = "for i in 1 2; do\n\techo line $i\ndone"
    assert await shell.shell(lines) == "line 1\nline 2\n[exit status 0]"


async def test_an_interactive_program_is_talked_to_by_keys(shell):
    assert "[still running]" in await shell.shell("read -p 'name? ' name && echo hello $name", wait=0.5)
    with pytest.raises(ToolError, match="still running"):
        await shell.shell("echo no")
    assert "hello Arne" in await shell.shell(keys=["Arne", "Enter"])
    assert await shell.shell("echo yes") == "yes\n[exit status 0]"


async def test_only_the_workspace_can_be_written_and_little_else_be_read(shell, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    os.environ["AGENT_TEST_KEY"] = "secret"
    try:
        said = await shell.shell(
            f"cat {secret} /etc/passwd; echo x > /usr/x; echo x > {tmp_path}/x; env; ls /home /root"
        )
    finally:
        del os.environ["AGENT_TEST_KEY"]
    assert "secret\n" not in said
    assert "AGENT_TEST_KEY" not in said
    assert said.count("No such file or directory") >= 4
    assert await shell.shell("echo mine > a.txt") == "(no output)\n[exit status 0]"
    assert (tmp_path / "w" / "a.txt").read_text() == "mine\n"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["secret.txt", "w"]


async def test_there_is_no_network_and_no_other_process(shell):
    said = await shell.shell("cat /proc/net/dev | tail -n +3 | cut -d: -f1; ls -d /proc/[0-9]* | wc -l")
    interface, processes = said.split()[:2]
    assert interface == "lo"
    assert int(processes) < 8


async def test_a_fork_bomb_stays_within_its_limit_and_a_restart_ends_it(shell):
    await shell.shell("bomb() { bomb | bomb & }; bomb", wait=1)
    if shell._group is not None:
        assert shell._group.count() <= CONFIG.processes + 4
    said = await shell.shell("echo alive", restart=True)
    assert "alive" in said


async def test_files_and_memory_are_limited(shell, tmp_path):
    await shell.shell("dd if=/dev/zero of=big bs=64k count=100 2>/dev/null")
    assert (tmp_path / "w" / "big").stat().st_size == CONFIG.file_bytes
    said = await shell.shell("head -c 300000000 /dev/zero | tail -c 290000000 | wc -c")
    assert "290000000" not in said


async def test_a_session_that_ended_is_started_anew(shell):
    assert "has ended" in await shell.shell("exit")
    assert await shell.shell("echo back") == "[The session had ended; this is a new one.]\nback\n[exit status 0]"


async def test_endless_output_is_cut_and_can_be_interrupted(shell):
    said = await shell.shell("yes", wait=0.5)
    assert said.endswith("[still running]")
    assert len(said) < 500_000
    assert "^C" in await shell.shell(keys=["C-c"])


async def test_nothing_is_left_behind(shell):
    await shell.shell("sleep 1000 &")
    folder, group = Path(shell._folder), shell._group
    await shell.aclose()
    assert not await asyncio.to_thread(folder.exists)
    if group is not None:
        assert group.count() == 0
        assert not any(path.parent.exists() for path in group.join)


def test_what_a_killed_agent_left_is_ended_and_what_others_run_is_not(tmp_path, monkeypatch):
    import subprocess

    from policy.sandbox.cgroup import maker

    # By a relative path: a socket's has 107 bytes at most, and pytest's folders may lie deep.
    monkeypatch.chdir(tmp_path)
    tmp_path = Path(".")
    monkeypatch.setattr(tempfile, "tempdir", ".")
    gone = subprocess.Popen(["true"])
    gone.wait()
    dead = tmp_path / leftovers.prefix().replace(f".{maker().partition('.')[2]}-", f".{gone.pid}-")
    mine, foreign = tmp_path / leftovers.prefix(), tmp_path / f"judger-shell-1.{gone.pid}-x"
    for folder in (dead, mine, foreign):
        folder.mkdir()
        subprocess.run(["tmux", "-S", str(folder / "socket"), "new-session", "-d", "sleep 60"], check=True)
    leftovers.sweep()
    assert not dead.exists()
    for folder in (mine, foreign):
        kill = ["tmux", "-S", str(folder / "socket"), "kill-server"]
        assert subprocess.run(kill, check=False).returncode == 0


def test_a_folder_too_deep_for_a_socket_is_said(tmp_path, monkeypatch):
    deep = tmp_path / ("deep" * 30)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    with pytest.raises(ToolError, match=r"bytes, 107 at most\. Set TMPDIR"):
        leftovers.new_folder()
    assert list(deep.iterdir()) == []
