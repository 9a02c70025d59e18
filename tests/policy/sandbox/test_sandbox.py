"""Where the walls are missing, the shell is off and says why."""

from __future__ import annotations

from policy.config import Settings, ShellConfig
from policy.index.store import LocalIndex
from policy.kit import Shared, open_kit
from policy.sandbox import walls


async def test_without_its_programs_the_shell_is_off_with_the_reason(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert walls.missing(ShellConfig(enabled=True)) == "tmux is not installed"
    settings = Settings(shell=ShellConfig(enabled=True))
    async with open_kit(settings, tmp_path / "w", Shared.local(LocalIndex.in_memory(tmp_path))) as kit:
        assert kit.missing == ("shell is off: tmux is not installed",)
        assert "shell" not in kit.tools.names


def test_the_walls_keep_out_network_environment_and_everything_but_the_workspace(tmp_path):
    line, _ = walls.command(tmp_path, tmp_path / "control", ShellConfig(), None)
    if walls._sandbox_fault():
        return
    for wall in ("--unshare-all", "--clearenv", "--cap-drop ALL", "--die-with-parent", f"--bind {tmp_path} /workspace"):
        assert wall in line
    assert line.count("--bind ") == 1
    assert "--share-net" not in line
