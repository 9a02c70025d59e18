"""The openai engine against vLLM's own OpenAI server."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from judger.engines.base import PAIR_TIER, VERDICT_TIER, Outcome
from judger.engines.openai import OpenAIEngine
from judger.pairwise import duels
from judger.types import Case, Probabilities, Reason, Unscored
from tests.judger.engines.generative import tiny

START = 900.0
"""Seconds that vLLM gets to start: half a minute on a quiet machine."""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("served")
    tiny.save(folder, hidden_size=128, head_dim=64, initializer_range=0.08, max_position_embeddings=2048)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(folder)]
    command += ["--served-model-name", "tiny", "--host", "127.0.0.1", "--port", str(port), "--dtype", "float32"]
    # A random model would fill its budget with the white space that JSON allows.
    command += ["--structured-outputs-config", '{"backend": "xgrammar", "disable_any_whitespace": true}']
    log = folder / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [*command, "--enforce-eager"],
            env={**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1"},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until_ready(f"http://127.0.0.1:{port}/health", server, log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait(60)


def wait_until_ready(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START
    while time.monotonic() < until:
        if server.poll() is not None:
            pytest.fail(f"vLLM's server ended:\n{log.read_text(errors='replace')[-3000:]}")
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    pytest.fail(f"vLLM's server did not start in {START:.0f} s")


def judge(url: str, case: Case, tier: Any = VERDICT_TIER, **options: Any) -> list[Outcome]:
    async def ask() -> list[Outcome]:
        engine = OpenAIEngine("tiny", base_url=url, **options)
        try:
            return await engine.judge(case, tier)
        finally:
            await engine._client.close()

    return asyncio.run(ask())


def test_structured_output_gives_a_label_from_any_model(url: str) -> None:
    for outcome in judge(url, tiny.case(4), reading="structured"):
        assert isinstance(outcome.result, Probabilities)
        assert max(outcome.result.p_not, outcome.result.p_partial, outcome.result.p_full) == 1.0
        assert outcome.prompt_tokens > 100


@pytest.mark.parametrize("pairwise", [False, True])
def test_log_probabilities_of_the_label_word_become_the_verdict(url: str, pairwise: bool) -> None:
    words = ["first", "second", "equal"] if pairwise else ["not", "partially", "fully"]
    case = duels(tiny.case(1), tiny.case(1, seed=3))[0] if pairwise else tiny.case(3)
    body = {"structured_outputs": {"choice": words}, "chat_template_kwargs": {"enable_thinking": False}}
    for outcome in judge(url, case, PAIR_TIER if pairwise else VERDICT_TIER, extra_body=body):
        assert isinstance(outcome.result, Probabilities)
        values = (outcome.result.p_not, outcome.result.p_partial, outcome.result.p_full)
        assert sum(values) == pytest.approx(1.0)


def test_a_reply_off_the_menu_is_unparsable_and_a_prompt_over_the_limit_too_long(url: str) -> None:
    (outcome,) = judge(url, tiny.case(1), reading="logprobs")
    assert isinstance(outcome.result, Unscored)
    assert outcome.result.reason is Reason.UNPARSABLE
    (outcome,) = judge(url, tiny.case(1))  # a random model says no label unless it is held to one
    assert isinstance(outcome.result, Probabilities)
    (outcome,) = judge(url, tiny.case(1, report_words=6000))
    assert isinstance(outcome.result, Unscored)
    assert outcome.result.reason is Reason.TOO_LONG
