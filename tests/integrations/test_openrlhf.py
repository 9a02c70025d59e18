"""OpenRLHF's own executor of single turns, with our reward function and with our HTTP door as its remote reward."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.integrations.parts import part

PROMPT = "<|im_start|>user\nfruit?<|im_end|>\n<|im_start|>assistant\n"
RUBRIC = json.dumps(["apple", "pear"])
LOST = json.dumps(["apple", "[[unscored=too_long]]"])


class Tokenizer:
    """Letters for tokens."""

    def __call__(self, text: str, **_: Any) -> dict[str, list[Any]]:
        return {"input_ids": [SimpleNamespace(tolist=lambda: list(map(ord, text)))]}

    def decode(self, ids: list[int], **_: Any) -> str:
        return "".join(map(chr, ids))


async def rolled_out(remote_url: str, said: str, label: str) -> dict[str, Any]:
    """What its executor makes of a prompt that the policy answers so."""
    agent = part("openrlhf.utils.agent", "openrlhf", "openrlhf.utils")

    async def generate(*_: Any, **__: Any) -> Any:
        out = SimpleNamespace(token_ids=list(map(ord, f"{said}<|im_end|>")), finish_reason="stop", logprobs=None)
        return SimpleNamespace(outputs=[out])

    engine, params = SimpleNamespace(generate=generate), SimpleNamespace(max_tokens=100, logprobs=None)
    executor = agent.SingleTurnAgentExecutor(remote_url)
    found: dict[str, Any] = await executor.execute(PROMPT, label, params, 10_000, Tokenizer(), engine)
    return found


@pytest.fixture
def function(address: str, tmp_path: Path) -> str:
    """The file that `--reward.remote_url` names."""
    path = tmp_path / "reward.py"
    path.write_text(
        f"from judger.integrations.openrlhf import reward_func_of\nreward_func = reward_func_of({address!r})\n"
    )
    return str(path)


@pytest.mark.parametrize("way", ["function", "http"])
async def test_its_executor_gets_our_reward(way: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue("function") if way == "function" else request.getfixturevalue("doors") + "/get_reward"
    found = await rolled_out(url, "<think>pear</think>an apple", RUBRIC)
    assert (found["reward"], found["scores"], found["extra_logs"]) == ([0.5], [0.5], {"unscored": [0.0]})


async def test_a_report_without_a_reward_is_none_to_it_and_a_line_of_its_log_at_info(
    function: str, caplog: pytest.LogCaptureFixture
) -> None:
    part("openrlhf.utils.logging_utils", "openrlhf", "openrlhf.utils")
    logger = logging.getLogger("openrlhf")
    logger.addHandler(caplog.handler)
    caplog.set_level(logging.INFO)
    try:
        found = await rolled_out(function, "an apple", LOST)
    finally:
        logger.removeHandler(caplog.handler)
    assert (found["reward"], found["scores"]) == (None, None)
    assert "Failed to fetch reward" in caplog.text
    assert "too_long" in caplog.text
