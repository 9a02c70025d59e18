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

CONFIG = ShellConfig(enabled=True, processes=24, memory_bytes=128 * 2**20, file_bytes=2**20, wait_seconds=120)
REASON = walls.missing(CONFIG)
pytestmark = pytest.mark.skipif(bool(REASON), reason=f"no shell here: {REASON}")


@pytest.fixture
async def shell(tmp_path):
    (tmp_path / "w").mkdir()
    tool = ShellTool(tmp_path / "w", CONFIG)
    yield tool
    await tool.aclose()


async def _ended(shell, **call):
    """What a call shows once nothing runs any more: a screen stands still on a busy machine, too."""
    said = await shell.shell(**call)
    async with asyncio.timeout(120):
        while said.endswith("[still running]"):
            said = await shell.shell()
    return said


async def test_commands_share_a_session_and_report_output_and_status(shell):
    assert await shell.shell("cd /tmp && x=7") == "(no output)\n[exit status 0]"
    assert await shell.shell("pwd; echo $x; false") == "/tmp\n7\n[exit status 1]"
    lines = "for i in 1 2; do\n\techo line $i\ndone"
    assert await shell.shell(lines) == "line 1\nline 2\n[exit status 0]"


async def test_an_interactive_program_is_talked_to_by_keys(shell):
    assert "[still running]" in await shell.shell("read -p 'name? ' name && echo hello $name", wait=0.5)
    with pytest.raises(ToolError, match="still running"):
        await shell.shell("echo no")
    assert "hello Arne" in await _ended(shell, keys=["Arne", "Enter"])
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
    if shell._session.group is not None:
        assert shell._session.group.count() <= CONFIG.processes + 4
    said = await shell.shell("echo alive", restart=True)
    assert "alive" in said


async def test_files_and_memory_are_limited(shell, tmp_path):
    await shell.shell("dd if=/dev/zero of=big bs=64k count=100 2>/dev/null")
    assert (tmp_path / "w" / "big").stat().st_size == CONFIG.file_bytes
    said = await shell.shell("head -c 300000000 /dev/zero | tail -c 290000000 | wc -c")
    assert "290000000" not in said


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("printf abc", "abc\n[exit status 0]"),
        ("PS1='> '; PS0=x; PS2=y", "(no output)\n[exit status 0]"),
        ("echo 'wait!' !x", "wait! !x\n[exit status 0]"),
        ("# a comment", "(no output)\n[exit status 0]"),
        ("echo '[3:0] $ '; sleep 0.3; (exit 7)", "[3:0] $\n[exit status 7]"),
        ("mkdir gone; cd gone; rmdir ../gone; cd /workspace", "(no output)\n[exit status 0]"),
        ("sleep 100 &\necho on", "on\n[exit status 0]"),
        ("alias .=false; function . { echo fake; }", "(no output)\n[exit status 0]"),
        ('bind \'"\\C-e": "echo typed\\n"\' || echo no', "bash: bind: command not found\nno\n[exit status 0]"),
    ],
)
async def test_the_number_and_status_of_a_command_never_come_from_the_screen(shell, command, said):
    told = await shell.shell(command)
    assert "\n".join(line for line in told.split("\n") if not line.startswith("[1] ")) == said
    assert await shell.shell("echo next") == "next\n[exit status 0]"


async def test_what_breaks_off_a_command_is_shown_and_the_session_goes_on(shell):
    assert "syntax error" in await shell.shell("if; then")
    assert "here-document" in await shell.shell("cat <<END\nunfinished")
    assert "unexpected EOF" in await shell.shell("echo 'open")
    assert "[exit status 5]" in await shell.shell("(exit 5)")
    assert await shell.shell("echo $?") == "5\n[exit status 0]"
    assert "[exit status" in await shell.shell("head -c 20000 /dev/urandom")
    assert "[exit status" in await shell.shell("unset PROMPT_COMMAND; PROMPT_COMMAND=")
    assert "[still running]" in await shell.shell("sleep 100", wait=0.2)
    assert "[exit status 130]" in await _ended(shell, keys=["C-c"])
    assert await shell.shell("echo next") == "next\n[exit status 0]"


@pytest.mark.parametrize(
    "change",
    [
        "stty kill b", "stty erase u", "stty intr i", "stty stop l", "stty lnext t", "stty igncr",
        "set -o vi; printf '\\033[6n\\033[c'", "set +o emacs; printf '\\033[c'",
    ],
)  # fmt: skip
async def test_nothing_that_a_command_sets_changes_how_the_next_is_read(shell, change):
    for _ in range(2):
        assert "[exit status 4]" in await shell.shell(f"{change}\n(exit 4)")
    assert (await shell.shell("echo next")).endswith("next\n[exit status 0]")


@pytest.mark.parametrize("command", ["exit 3", "exec sh -c 'exit 3'", "set -e; (exit 3)"])
async def test_a_command_that_ends_the_session_says_so_with_its_status(shell, command):
    assert "has ended with exit status 3" in await shell.shell(command)
    assert (await shell.shell("echo back")).endswith("back\n[exit status 0]")


async def test_twenty_megabytes_are_cut_and_said_to_be(shell):
    said = await shell.shell("yes 0123456789012345678901234567890123456789 | head -c 20000000; echo end", wait=60)
    assert "what was before them is not kept" in said.partition("\n")[0]
    assert said.endswith("end\n[exit status 0]")
    assert len(said) < 2_000_000


async def test_what_can_be_written_to_besides_the_workspace_is_bounded(shell):
    said = await shell.shell(
        "for d in / /dev /run /run/shell; do echo x > $d/x; done; df --output=size /dev/shm | tail -1"
    )
    assert said.count("Read-only file system") == 4
    assert int(said.split("\n")[-2]) == 64 * 1024


async def test_a_service_account_has_a_shell_too(tmp_path, monkeypatch):
    monkeypatch.setenv("SHELL", "/usr/sbin/nologin")
    tool = ShellTool(tmp_path, CONFIG)
    try:
        assert await tool.shell("echo here") == "here\n[exit status 0]"
    finally:
        await tool.aclose()


async def test_a_session_that_ended_is_started_anew(shell):
    assert "has ended" in await shell.shell("exit")
    assert await shell.shell("echo back") == "[The session had ended; this is a new one.]\nback\n[exit status 0]"


async def test_endless_output_is_cut_and_can_be_interrupted(shell):
    said = await shell.shell("yes", wait=0.5)
    assert said.endswith("[still running]")
    assert len(said) < 500_000
    assert "^C" in await _ended(shell, keys=["C-c"])


async def test_nothing_is_left_behind(shell):
    await shell.shell("sleep 1000 &")
    folder, group = shell._session.folder, shell._session.group
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
        subprocess.run(["tmux", "-S", str(folder / "socket"), "new-session", "-d", "sleep 600"], check=True)
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
