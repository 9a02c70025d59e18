"""Commands for the shell: what they print looks like prompts, ends nowhere, has control characters or no end; what they
do changes the shell that they run in. Of most the exit status is known; of all, that the shell can be used again.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from policy.config import ShellConfig
from policy.sandbox import walls
from policy.tools.shell import ShellTool

__all__ = ["Command", "Shells", "commands", "missing"]

_CONFIG = ShellConfig(enabled=True, processes=48, memory_bytes=256 * 2**20, file_bytes=2**20, wait_seconds=60)
_STALL = 1.0
"""Seconds for which the event loop may stand still, of the processor: the machine may have other work."""

_PRINTS = [
    "printf abc", "printf ''", "echo", "printf '\\n\\n\\n'", "printf '$ '", "printf 'bash-5.2$ '",
    "echo '[exit status 0]'", "echo '[still running]'", "printf '7 0\\n'", "printf '\\033]2;99\\033\\\\'",
    "printf '\\033]2;%s\\007' $RANDOM", "printf '\\033[?1049h'", "printf '\\033[?1049l'",
    "printf '\\033[2J\\033[H\\033[3J'", "printf '\\033c'", "printf '\\033[6n\\033[c'", "printf '\\033[?2004h'",
    "printf '\\033]52;c;ZWNobw==\\007'", "printf '\\033[5i'", "printf '\\033[1;1r\\033[?6h\\033[?7l'",
    "printf '\\033(0lqk\\017\\016'", "printf '\\033P+q544e\\033\\\\'", "tput reset",
    "printf '\\000\\001\\002\\003\\004\\005\\006\\007\\010\\013\\014\\016\\017\\032\\033\\177'",
    "printf '\\x80\\xff\\xc3('", "head -c 3000 /dev/urandom", "head -c 70000 /dev/zero", "seq 1 3000",
    "yes y | head -n 25000", "printf '%.0sx' {1..9000}", "printf '\\r\\r\\r%s\\r' abc", "printf '水车\\u202e😀\\n'",
    "echo hi!there !! !foo !$ ^a^b", "cat /bin/ls | head -c 5000", "printf 'x y z\\n' >/run/shell/status",
    "printf '%s' \"$(seq 1 500)\" >&2", "printf '\\033[31m'", "printf '\\b\\b\\b\\b'", "echo a >/dev/tty",
    "printf '\\033[?25l\\033[?1000h\\033[?1006h'", "printf '\\033[?1l\\033>'",
]  # fmt: skip
_CHANGES = [
    "PS1='(v) $ '", "PS1='$(sleep 0.01; echo p) '", "PS2='> '", "PS0='zero'", "PS4='+ '", "set -x", "set -v",
    "set +o history", "set -o vi", "set -o emacs", "set -u", "set -f", "set -o posix", "set +o posix", "set +m",
    "set -m", "shopt -s extglob", "set -b", "PROMPT_COMMAND=", "unset PROMPT_COMMAND", "alias .=false",
    "alias builtin=false", "alias echo='echo x'", "IFS=/", "IFS=", "PATH=/usr/bin:/bin",
    "unset PATH; PATH=/usr/bin:/bin", "HISTFILE=/dev/null", "TERM=dumb", "TERM=xterm", "LANG=C LC_ALL=C",
    "trap 'echo t' EXIT", "trap 'true' DEBUG", "trap - DEBUG", "trap 'true' ERR", "trap '' INT", "trap - INT",
    "trap '' TSTP HUP", "stty -echo", "stty echo", "stty raw", "stty sane", "stty cols 20 rows 5",
    "stty cols 180 rows 50", "stty intr ^X", "stty -isig", "stty sane intr ^C", "cd /tmp", "cd /workspace",
    "umask 777", "umask 022", "exec 3>&1", "exec 3>&-", "hash -r", "command_not_found_handle() { :; }",
    "function . { echo fake; }", "f() { return 3; }; f", "x=$(printf '\\001')", "declare -a BASH_ENV=(1)",
    "bind 'set bell-style none'", "bind '\"\\C-e\": \"echo typed\\n\"'", "bind '\"\\C-u\": self-insert'",
    "stty kill b", "stty erase u intr i", "stty stop l", "stty lnext t quit n", "stty susp . werase ' '", "stty igncr",
    "bind -r '\\C-m'", "bind '\"b\": \"x\"'", "shopt -s histverify",
]  # fmt: skip
_JOBS = [
    "sleep 0.02 &", "sleep 60 & kill $!", "sleep 60 & kill %%; wait", "(sleep 0.01; echo late) &", "jobs",
    "true & wait", "disown -a", "coproc true", "set -m; sleep 60 & kill -STOP $!; kill -KILL $!", "(exit 9) | true",
    "false || true", "timeout 0.05 sleep 5", "{ sleep 0.01; } &>/dev/null & ",
    "trap 'echo chld' CHLD; true; trap - CHLD", "bash -c 'kill -SEGV $$'", "bash -c 'exit 4'",
    "echo x | while read y; do echo $y; done", "for i in 1 2 3; do echo $i; done", "read -t 0.01 x </dev/null",
    "cat <<'EOF'\n$ \nEOF", "cat <<EOF | tail -n 1\n$(seq 3)\nEOF", "echo \"a\nb\"", "echo 'it'\\''s'", "# a comment",
    "eval 'echo \"${x:-y}\"'", "echo a\\\nb", "case x in (x) echo y;; esac", "[[ a == a ]] && echo yes",
    "echo $((1 + 2)) ${x//a/b}", "((0))", "python3 -c 'import sys; sys.exit(6)'",
]  # fmt: skip
_LAST = [
    "while :; do :; done", "cat", "read x", "trap '' INT; while :; do sleep 0.05; done", "kill -9 $$",
    "kill -STOP $$", "exec false", "exec bash", "bash", "exit 5", "logout", "exec <&-", "exec >/dev/null 2>&1",
    "suspend -f", "set -t", "set -e; false", "set -r", "enable -n printf", "enable -n builtin", "enable -n .",
    "readonly __prompts=1", "__prompts='x['", "shopt -s extdebug; trap false DEBUG", "echo 'open", "echo \"open",
    "echo $(", "if then fi", "for", "}", ")", "cat <<EOF", "((", "[[", "\\", "`", "!", "&", "|", ";;", "&&", "yes",
    "exec yes", "sleep 30", "python3", "vi", "less /etc/alternatives/README", "top", ":(){ :|:& };:", "stty raw; cat",
    "exec 2>&1 >/dev/full", "ulimit -n 3", "ulimit -f 0", "ulimit -v 1000", "kill -TERM 0", "unset -f __ready",
    "exec -a x bash", "builtin() { :; }", "printf() { :; }", "kill -INT $$", "kill -TSTP $$", "tty; echo >$(tty)",
    "script -q /dev/null", "setsid bash",
]  # fmt: skip
_PUT_IN = [
    "'", '"', "`", "$(", ")", "\\", "\n", "\x03", "\x04", "\x1a", "\x1b[A", "\x15", "\t\t", "|", "&", ";", "<<E\n",
    "\ud83d", "\x7f", "{", "!", "\r", "\x1b[200~", "#", "%", "^",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Command:
    """What is run, and the exit status that it has; None where it is not known."""

    text: str
    status: int | None


def missing() -> str:
    """Why there is no shell here."""
    return walls.missing(_CONFIG)


def commands(number: int, seed: int) -> Iterator[Command]:
    """Known ones for the most part; a sixth of them broken somewhere, a sixth that hang or end what they run in."""
    chance = random.Random(seed)
    for _ in range(number):
        parts = [chance.choice(chance.choice((_PRINTS, _CHANGES, _JOBS))) for _ in range(chance.choice((1, 1, 2, 4)))]
        text, status = "\n".join(parts), chance.choice((0, 0, 1, 2, 42, 127, 255))
        match chance.randrange(6):
            case 0:
                yield Command(_broken(text, chance), None)
            case 1:
                yield Command(f"{text}\n{chance.choice(_LAST)}", None)
            case _:
                yield Command(f"{text}\n(exit {status})", status)


def _broken(text: str, chance: random.Random) -> str:
    for _ in range(chance.choice((1, 2, 5))):
        at = chance.randrange(len(text) + 1)
        text = text[:at] + chance.choice(_PUT_IN) + text[at + chance.randrange(3) :]
    return text


class Shells:
    """One shell after the other, used until a command has spoilt it. `close` ends the last."""

    def __init__(self) -> None:
        self._runner: asyncio.Runner | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._tool: ShellTool | None = None

    def bear(self, command: Command) -> None:
        """Raises AssertionError where an answer is wrong, or the shell can't be used after it."""
        if self._runner is None:
            self._runner, self._folder = asyncio.Runner(), tempfile.TemporaryDirectory()
            self._tool = ShellTool(Path(self._folder.name), _CONFIG)
        try:
            self._runner.run(self._bear(command))
        except Exception:
            self.close()  # one that is spoilt would fail all that come after
            raise

    async def _bear(self, command: Command) -> None:
        assert self._tool is not None
        worst = [0.0]
        ticking = asyncio.ensure_future(_tick(worst))
        try:
            wait = 0.3 if command.status is None else 60.0
            answer = await self._tool.shell(command.text, wait=wait)
            answer.encode()
            if command.status is not None:
                assert f"exit status {command.status}" in answer[-60:], answer[-300:]
            if "[still running]" in answer[-20:]:
                answer = await self._tool.shell(keys=["C-c"], wait=0.5)
            again = "[still running]" in answer[-20:] or command.status is None
            # What is still running after C-c, or has spoilt the shell for good, is for a restart.
            answer = await self._tool.shell("(exit 37)", wait=60, restart=again)
            assert "exit status 37" in answer[-60:], answer[-300:]
        finally:
            ticking.cancel()
        assert worst[0] < _STALL, f"the event loop stood still for {worst[0]:.1f} s"

    def close(self) -> None:
        if self._runner is not None and self._tool is not None and self._folder is not None:
            self._runner.run(self._tool.aclose())
            self._runner.close()
            self._folder.cleanup()
        self._runner = None


async def _tick(worst: list[float]) -> None:
    while True:
        before = time.thread_time()
        await asyncio.sleep(0.01)
        worst[0] = max(worst[0], time.thread_time() - before)
