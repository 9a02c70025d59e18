"""Forks, spawns, pools and DataLoader workers, each as a process of its own against one server (`programs.py`)."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from judger.server.process import Running

PROGRAMS = Path(__file__).with_name("programs.py")
SECONDS = 300.0

LIGHT = """
import sys
import judger.client
heavy = {"torch", "transformers", "numpy", "vllm", "yaml", "rich", "sklearn"} & set(sys.modules)
assert not heavy, heavy
"""


async def python(*arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and error of a Python with every warning an error."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        "error",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    return process.returncode or 0, out.decode(), err.decode()


@pytest.mark.parametrize(
    "program",
    [
        "fork_after_use",
        "fork_under_load",
        "fork_beside_aio",
        "closed_in_the_child",
        "pools",
        "under_a_running_loop",
        "loader",
        "left_open",
    ],
)
async def test_the_client_works_in(program: str, scripted_server: Running) -> None:
    code, out, err = await python(str(PROGRAMS), program, scripted_server.address)
    assert (code, out) == (0, "OK\n"), err
    assert "Traceback" not in err


async def test_several_processes_share_one_server(scripted_server: Running) -> None:
    address = scripted_server.address
    answers = await asyncio.gather(*(python(str(PROGRAMS), "under_a_running_loop", address) for _ in range(4)))
    assert [(code, out) for code, out, _ in answers] == [(0, "OK\n")] * 4


async def test_importing_the_client_loads_no_model_library() -> None:
    code, _, err = await python("-c", LIGHT)
    assert code == 0, err
