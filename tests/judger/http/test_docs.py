"""The examples of docs/http.md, as they stand there, against a running judge."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from judger.config import ServeConfig
from judger.engines.scripted import ScriptedEngine
from judger.http.app import doors_by_path
from judger.http.doors import Doors
from judger.server.process import running

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "http.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```(bash|python)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


async def ran(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(90):
        out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    return out.decode()


async def test_every_example_runs_and_prints_what_it_is_for() -> None:
    printed = []
    async with running(ServeConfig(engine="scripted", port=0, http_port=0, grace=1.0), ScriptedEngine()) as server:
        for language, text in EXAMPLES:
            text = text.replace("localhost:8080", str(server.http_address))
            if language == "python":
                printed.append(await ran(sys.executable, "-c", text))
            elif shutil.which("curl") is not None:
                assert json.loads(await ran("bash", "-c", text))["reward"]["positive_weight"] == 3.0
    decisions, system_one, reward = printed
    assert [line.split()[0] for line in decisions.splitlines()] == ["cycle", "depth"]
    assert 0.0 <= float(system_one) <= 1.0
    assert -1.0 <= float(reward) <= 1.0


@pytest.mark.parametrize("path", [path for path in doors_by_path(Doors(None)) if not path.startswith("/judger")])  # type: ignore[arg-type]
async def test_every_door_is_in_the_table(path: str) -> None:
    assert f"| `{path}` |" in PAGE
