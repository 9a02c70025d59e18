"""Calls of every tool but the shell (`tests.policy.fuzz.commands`), with arguments as a model might write them: right
ones, right types with odd values, wrong types, broken JSON. An MCP server and models beside the agent's own are among
them, which answer with as little sense.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from policy.bundled import corpus
from policy.config import MCPServer, Settings
from policy.context import clean
from policy.errors import ModelError
from policy.index.store import LocalIndex
from policy.kit import Kit, Shared, open_kit
from policy.model import Completion, Message, Schema, ToolCall
from policy.tools.mcp import open_mcp
from policy.tools.pick import ModelPicker
from policy.workspace.removal import remove_tree
from tests.policy.fuzz.inputs import mutated, value

__all__ = ["Calls", "calls"]

_STALL = 1.0
"""Seconds for which the event loop may stand still, of the processor: the machine may have other work."""
_PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
_WAV = b"RIFF\x24\0\0\0WAVEfmt " + bytes(40)
_WORDS = (
    "mill tide flood 水车 大水 1822 Skerrow harbour the and of a-b a_b \\cite{mill#1} [mill#2] “quoted” ‘q’ "
    '... \ud83d \u2028 \u202e \0 \x1b[2J <|im_end|> </tool_call> <think> http://a.org/x OR NEAR( " * ^ : { } [ ] \\ / '
    "` $ %s {0} -5% 3.14"
).split(" ")
_PATHS = [
    "notes.md", "a/b.txt", "deep/er/and/deeper.md", ".", "", "/", "..", "../x", "a/../../x", "/etc/passwd", "~",
    "./notes.md", "a//b.txt", "a/./b.txt", "x" * 300, "x/" * 100 + "y", "notes.md/", "notes.md/x", "水.md",
    "\ud83d.md", "a\0b", "a\nb.md", "con:x", "-rf", "*", "picture.png", "sound.wav", "http://a.org/x.png", "https://[",
    "HTTP://a.org", "file:///etc/passwd", "observations/001.txt", " notes.md ", "..\\x", "%2e%2e/x", "\u202emd.x",
]  # fmt: skip
_MILL = "skerrow-tidal-mill"
_KEYS = [
    _MILL, f"{_MILL}#1", f"{_MILL}#2-4", "skerrow-peat", f"{_MILL}#4-2", f"{_MILL}#0", f"{_MILL}#99", f"{_MILL}#-1",
    f"{_MILL}#1#2", f"{_MILL}#1-", f"{_MILL}#٣", f"{_MILL}#1_0", f"{_MILL}#{'9' * 5000}",
    f"{_MILL}\0", "#1", "#", "", " ",
    "none-such", "http://a.org/x", "https://[", "http://", "http://a.org/x#2-4", "x" * 5000, "\ud83d",
]  # fmt: skip
_NUMBERS = [
    0,
    1,
    2,
    3,
    5,
    20,
    -1,
    10**6,
    2**31,
    2**63,
    10**30,
    -(10**30),
    1.0,
    1.5,
    1e300,
    "3",
    "x",
    None,
    True,
    [],
    {},
]
_LINES = "# Mill\n\nThe mill grinds after high water, 3.14 m.\r\n水车转动。\n\nIt was rebuilt in 1825.\n" * 20


def calls(number: int, seed: int) -> Iterator[ToolCall]:
    """Those of all tools in turn."""
    chance = random.Random(seed)
    makers = (_todo, _note, _search, _open, _file, _file, _describe, _transcribe, _mcp)
    for turn in range(number):
        name, arguments = makers[turn % len(makers)](chance)
        match chance.randrange(25):  # what is broken in one place gets furthest
            case 0:
                arguments = {**arguments, chance.choice(["", "extra", *arguments]): value(chance, 3)}
            case 1:
                arguments.pop(chance.choice([*arguments]), None)
            case 2:
                arguments = value(chance, 4)
            case _:
                pass
        text = json.dumps(arguments)
        if chance.random() < 0.05:
            text = mutated(text.encode(), chance).decode("utf-8", "surrogateescape")
        if chance.random() < 0.01:
            name = chance.choice(["", "none_such", "\ud83d", name.upper()])
        yield ToolCall("c", name, text)


def _text(chance: random.Random, most: int = 30) -> str:
    words = " ".join(chance.choice(_WORDS) for _ in range(chance.randrange(most)))
    return words * chance.choice((1, 1, 1, 1, 1, 300)) if chance.random() < 0.2 else words


def _number(chance: random.Random) -> Any:
    return chance.choice(_NUMBERS) if chance.random() < 0.2 else chance.randrange(1, 6)


def _texts(chance: random.Random) -> list[str]:
    return [_text(chance) for _ in range(chance.choice((0, 1, 1, 2, 2, 3, 8, 9, 50)))]


def _todo(chance: random.Random) -> tuple[str, dict[str, Any]]:
    marks = ["", "[ ] ", "[x] ", "[~] ", "- [X] ", "[水] ", "[", "[]", "[x]"]
    return "todo", {"items": [chance.choice(marks) + text for text in _texts(chance)]}


def _note(chance: random.Random) -> tuple[str, dict[str, Any]]:
    return "note", {"findings": _texts(chance)}


def _search(chance: random.Random) -> tuple[str, dict[str, Any]]:
    asked: Any = chance.choice((_texts(chance), _text(chance), json.dumps(_texts(chance))))
    return "search", {"queries": asked, "results": _number(chance), "together": chance.random() < 0.5}


def _open(chance: random.Random) -> tuple[str, dict[str, Any]]:
    targets = [chance.choice(_KEYS[: chance.choice((4, len(_KEYS)))]) for _ in range(chance.choice((1, 1, 2, 6, 7)))]
    return "open", {"targets": targets, "goal": chance.choice(("", _text(chance)))}


def _file(chance: random.Random) -> tuple[str, dict[str, Any]]:
    command = chance.choice(["read", "write", "list", "patch", "patch", "patch", "grep"] * 3 + ["delete"])
    text = chance.choice((_LINES, _text(chance), _text(chance, 400)))
    lines = _LINES.split("\n")
    anchor = chance.choice(
        (chance.choice(lines), f"{chance.choice(lines)} ... {chance.choice(lines)}", _text(chance), "...")
    )
    path = chance.choice(["notes.md", "a/b.txt", chance.choice(_PATHS)])
    given: dict[str, Any] = {"command": command, "path": path, "text": text, "anchor": anchor}
    given["position"] = chance.choice(["replace", "before", "after"] * 5 + ["inside"])
    for name in ("first_line", "last_line", "first_column"):
        if chance.random() < 0.3:
            given[name] = _number(chance)
    return "file", given


def _describe(chance: random.Random) -> tuple[str, dict[str, Any]]:
    target = chance.choice(["picture.png", chance.choice(_PATHS)])
    return "describe_image", {"target": target, "question": chance.choice(("", _text(chance)))}


def _transcribe(chance: random.Random) -> tuple[str, dict[str, Any]]:
    return "transcribe", {"target": chance.choice(["sound.wav", chance.choice(_PATHS)])}


def _mcp(chance: random.Random) -> tuple[str, dict[str, Any]]:
    return "odd_say", {"seed": chance.randrange(10**9)}


class _Beside:
    """A model beside the agent's own, that sees, reads or hears: what it says has no sense."""

    name = "beside"

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)

    async def complete(
        self, messages: Sequence[Message], tools: Sequence[Schema], *, max_tokens: int, use_tools: bool = True
    ) -> Completion:
        return Completion(content=self._say())

    async def transcribe(self, data: bytes, file_name: str) -> str:
        return self._say()

    def _say(self) -> str:
        if self._chance.random() < 0.1:
            raise ModelError("the endpoint failed")
        return self._chance.choice(("", "[1, 2]", "[999999]", "[1, 1, 1]", "[" * 500, "[]", _text(self._chance, 400)))

    async def aclose(self) -> None:
        return None


class Calls:
    """One kit, used until it is closed."""

    def __init__(self) -> None:
        self._runner: asyncio.Runner | None = None
        self._stack = AsyncExitStack()
        self._kit: Kit | None = None
        self._number = 0

    def bear(self, call: ToolCall) -> None:
        """Raises AssertionError where a call ends in a fault of ours, leaves the workspace, or holds up the loop."""
        if self._runner is None:
            self._runner = asyncio.Runner()
            self._kit = self._runner.run(self._stack.enter_async_context(_opened()))
        self._runner.run(self._bear(call))

    async def _bear(self, call: ToolCall) -> None:
        assert self._kit is not None
        root = self._kit.workspace.root
        if self._number % 100 == 0:  # else what is written in one is looked through in the next, for ever
            await asyncio.to_thread(remove_tree, root)
            root.mkdir()
            for name, data in {"picture.png": _PNG, "sound.wav": _WAV, "notes.md": _LINES.encode()}.items():
                (root / name).write_bytes(data)
        self._number += 1
        worst = [0.0]
        ticking = asyncio.ensure_future(_tick(worst))
        await asyncio.sleep(0)
        try:
            answer = await self._kit.tools.call(call)
            await asyncio.sleep(0)
        finally:
            ticking.cancel()
        assert not re.match(rf"{re.escape(call.name)} failed: \w+", answer.text), answer.text[:500]
        clean(answer.text).encode()
        for source in answer.sources:
            assert re.fullmatch(r"[^{}\\,;#\s]+#\d+", source.key), f"a key that can't be cited: {source.key!r}"
            " ".join((source.title, source.location, source.text)).encode()
        str(self._kit.todo).encode()
        assert [path.name for path in root.parent.iterdir()] == [root.name], "something lies beside the workspace"
        assert worst[0] < _STALL, f"the event loop stood still for {worst[0]:.1f} s"

    def close(self) -> None:
        if self._runner is not None:
            self._runner.run(self._stack.aclose())
            self._runner.close()
        self._runner, self._kit = None, None


@asynccontextmanager
async def _opened() -> AsyncIterator[Kit]:
    server = MCPServer(name="odd", command=(sys.executable, str(Path(__file__).with_name("mcp_server.py"))), seconds=60)
    with corpus() as folder, tempfile.TemporaryDirectory() as parent:
        index = LocalIndex.in_memory(folder, None)
        try:
            async with open_mcp(server) as tools:
                beside = _Beside(1)
                shared = replace(
                    Shared.local(index), tools=tuple(tools), vision=beside, speech=beside,
                    picker=ModelPicker(beside, seconds=60),
                )  # fmt: skip
                async with open_kit(Settings(), Path(parent, "workspace"), shared) as kit:
                    yield kit
        finally:
            index.close()


async def _tick(worst: list[float]) -> None:
    while True:
        before = time.thread_time()
        await asyncio.sleep(0.01)
        worst[0] = max(worst[0], time.thread_time() - before)
