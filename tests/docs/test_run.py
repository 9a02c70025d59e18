"""The examples of the docs, run as they stand there: each page's in turn, in a folder that has the files they name.

Commands go through the command line of this process, with the judge that they name (the built-in one where they name
none). `HOST:PORT` and `localhost:50051` are a scripted server, `--model NAME --base-url URL` is a scripted endpoint.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import judger.cli
import train.cli
from judger.server.process import Running
from tests.docs.blocks import ROOT, Block, blocks, is_synopsis, words
from tests.docs.workspace import CRITERIA, PUMP, QUERY, write_workspace
from tests.judger.cli.conftest import serving
from tests.judger.engines.generative import endpoint
from tests.judger.engines.generative.endpoint import completion

BLOCKS = list(blocks())
ELSEWHERE = {
    "docs/http.md": "tests/judger/http/test_docs.py",
    "docs/environments.md": "tests/integrations, with the libraries themselves",
    "docs/integrations/": "tests/judger/integrations/test_docs.py, and tests/integrations for the libraries themselves",
}
"""Pages whose Python and curl are run by tests that look at what they print."""
NOT_RUN = ("make", "pip", "mkdocs")
"""Programs that CI runs itself, or that change the environment."""
SERVERS = ("serve", "ui", "gateway")


def by_page(keep: list[Block]) -> list[Any]:
    pages = dict.fromkeys(block.page for block in keep)
    return [pytest.param([block for block in keep if block.page == page], id=page) for page in pages]


def to_run(block: Block) -> list[list[str]]:
    """The commands of a block that are run, each as words."""
    if block.reason or block.is_table or block.language == "bash":
        return []
    found = [words(command) for command in block.commands if not is_synopsis(command)]
    return [command for command in found if command[0] not in NOT_RUN and "pytest" not in command]


PYTHON = [
    block
    for block in BLOCKS
    if block.language == "python" and not block.reason and not any(block.page.startswith(page) for page in ELSEWHERE)
]


@pytest.mark.parametrize("page", by_page(PYTHON))
async def test_the_python_of_a_page_runs(page: list[Block], scripted_server: Running) -> None:
    names: dict[str, Any] = {"query": QUERY, "report": PUMP, "criteria": CRITERIA, "__name__": "page"}
    names |= {"reports": [PUMP, PUMP], "queries": [QUERY] * 2, "rubrics": [CRITERIA] * 2}
    names["cases"] = [(QUERY, PUMP, CRITERIA)] * 2
    for block in page:
        code = compile(
            block.text.replace("localhost:50051", scripted_server.address),
            str(block),
            "exec",
            ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
        )
        result = eval(code, names)  # a coroutine where the block awaits something
        if inspect.iscoroutine(result):
            async with asyncio.timeout(60):
                await result
    if "checklist_reward" in names:
        rewards = await names["checklist_reward"](["q"], [PUMP], [CRITERIA])
        assert [type(value) for value in rewards] == [float]
        await names["judge"].close()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the files, which is the current one."""
    write_workspace(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # what is fetched is not the user's
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # two on a busy machine wait for one another
    yield tmp_path
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def places() -> Iterator[dict[str, str]]:
    """What stands in the pages for a server and an endpoint, and where they are."""
    with serving() as (address, _), endpoint.serving() as made:
        made.answer = answer
        yield {"HOST:PORT": address, "localhost:50051": address, "judge.internal:50051": address, "URL": made.url}


def answer(request: dict[str, Any]) -> endpoint.Reply:
    """The longer report is better, and everything is fully satisfied."""
    text = request["messages"][-1]["content"]
    if "Second report:" not in text:
        return completion("fully", [("fully", {"fully": 0.9, "partially": 0.05, "not": 0.05})])
    first, second = (len(part) for part in text.split("Second report:"))
    word = "first" if first > second else "second"
    return completion(word, [(word, {"first": 0.02, "second": 0.02, "equal": 0.02} | {word: 0.96})])


@pytest.mark.docs
@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", by_page([block for block in BLOCKS if to_run(block)]))
def test_the_commands_of_a_page_run(page: list[Block], folder: Path, places: dict[str, str]) -> None:
    cascade = folder / "cascade.toml"
    cascade.write_text(cascade.read_text().replace("URL", places["URL"]))
    for block in page:
        for program, *argv in to_run(block):
            argv = [located(word, places) for word in argv]
            if program == "judger" and argv[0] in SERVERS:
                starts(argv)
                continue
            code, said = called(program, argv)
            # 1: done, but something is unscored, or there are warnings
            assert code in ((0, 1) if program == "judger" else (0,)), f"{block}: {program} {argv}: {code}\n{said}"


def located(word: str, places: dict[str, str]) -> str:
    """The word with what stands for a place in it."""
    for name, place in places.items():
        word = place if word == name else word.replace(name, place) if ":" in name else word
    return word


def called(program: str, argv: list[str]) -> tuple[int, str]:
    """The exit code, and what it said where it is a process of its own."""
    if program == "judger":
        return judger.cli.main(argv), ""
    if program == "judger-train":
        return train.cli.main(argv), ""
    agent = ["-c", "import sys; from policy.cli import main; sys.exit(main())"]
    command = [sys.executable, *(agent if program == "judger-agent" else []), *argv]
    here = os.environ | {"PYTHONPATH": str(ROOT)}  # for `python -m tests...`, which is meant for the clone
    ran = subprocess.run(command, capture_output=True, text=True, timeout=600, stdin=subprocess.DEVNULL, env=here)
    return ran.returncode, ran.stdout[-3000:] + ran.stderr[-3000:]


def starts(argv: list[str]) -> None:
    """Starts a server on a free port, waits until it says where it is, and ends it."""
    argv = list(argv)
    free = {"--port": "0", "--http-port": "0", "--metrics-port": "0", "--listen": "127.0.0.1:0"}
    for flag, value in free.items():
        if flag in argv:
            argv[argv.index(flag) + 1] = value
    if argv[0] == "serve" and "--port" not in argv:
        argv += ["--port", "0"]
    if argv[0] == "ui":
        argv += ["--listen", "127.0.0.1:0"]
    command = [sys.executable, "-m", "judger", *argv]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    said = []
    try:
        for line in process.stdout:
            said.append(line)
            if re.search(r"127\.0\.0\.1:\d+", line):
                break
        else:
            pytest.fail(f"{' '.join(argv)} ended: {''.join(said)}")
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def test_pages_that_are_run_elsewhere_are_there() -> None:
    for page in ELSEWHERE:
        assert any(block.page.startswith(page) for block in BLOCKS)
