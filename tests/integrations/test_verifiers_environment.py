"""verifiers loads our environment by its id and runs episodes: its own interception, trace and scoring."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from policy.errors import ConfigError
from tests.integrations.research import PAGE, REPORT, block, calls, endpoint, says, write_world
from tests.ports import free_port


def environment(folder: Path, address: str, **more: Any) -> Any:
    import verifiers.v1 as vf
    from verifiers.v1.utils.loaders import resolve_env_config

    config = {
        "taskset": {
            "id": "checklist-research", "tasks": str(folder / "tasks.jsonl"),
            "task": {"judge": {"address": address, "patience": 60}},
        },
        "agent": {"harness": {"id": "checklist-research", "settings": str(folder / "agent.toml")}} | {
            "runtime": {"type": "subprocess"}
        },
    }  # fmt: skip
    config["taskset"] |= more
    return vf.load_environment(resolve_env_config(config))


async def episode(env: Any, replies: Any) -> tuple[Any, list[dict[str, Any]]]:
    """One episode of the first task, and the requests that the model was sent."""
    import verifiers.v1 as vf
    from verifiers.v1.clients import EvalClientConfig

    from train.opened import close

    with endpoint(replies) as (url, asked):
        client = EvalClientConfig(base_url=url, api_key_var="NO_SUCH_KEY")
        try:
            async with env.serving():
                task = next(iter(env.taskset))
                found = await env.run_episode(task, vf.ModelContext(model="policy", client=client))
        finally:
            await close()
    return found, asked


async def test_the_agent_searches_reports_and_is_rewarded(address: str, tmp_path: Path) -> None:
    write_world(tmp_path)
    env = environment(tmp_path, address)
    found, asked = await episode(env, [calls("search", queries=["apple"]), says(REPORT)])
    (trace,) = found.traces
    assert (found.ok, trace.ok, trace.num_turns) == (True, True, 2)
    assert trace.last_reply == REPORT
    assert trace.reward == pytest.approx(3 / 4)
    assert (trace.metrics["explicit"], trace.metrics["negative"], trace.metrics["unread"]) == (0.75, 0.0, 0.0)
    assert "An apple tree stands in the orchard" in asked[1]["messages"][-1]["content"]  # the real tool's answer
    assert {tool["function"]["name"] for tool in asked[0]["tools"]} >= {"search", "open", "todo"}
    assert len(trace.branches) == 1


async def test_an_episode_without_a_report_is_worth_the_floor(address: str, tmp_path: Path) -> None:
    write_world(tmp_path, more="[agent.budget]\nturns = 2")
    found, _ = await episode(environment(tmp_path, address), [calls("search", queries=["apple"])] * 2)
    (trace,) = found.traces
    assert (trace.ok, trace.last_reply, trace.reward) == (True, "", pytest.approx(-1 / 4))


async def test_a_model_that_breaks_off_is_an_error_and_no_reward(address: str, tmp_path: Path) -> None:
    write_world(tmp_path, more="[model]\npatience = 0")
    found, _ = await episode(environment(tmp_path, address), [calls("search", queries=["apple"]), 400, 400, 400])
    (trace,) = found.traces
    assert not found.ok
    assert not trace.ok
    assert "checklist" not in trace.rewards


async def test_a_judge_that_is_away_is_an_error_and_no_reward(unused: str, address: str, tmp_path: Path) -> None:
    write_world(tmp_path)
    env = environment(tmp_path, address, task={"judge": {"address": unused, "patience": 0.1, "timeout": 1}})
    found, _ = await episode(env, [says(REPORT)])
    (trace,) = found.traces
    assert not trace.ok
    assert trace.rewards.get("checklist") is None
    assert trace.last_error.type == "TaskError"


def test_what_is_missing_is_said_before_anything_runs(address: str, tmp_path: Path) -> None:
    write_world(tmp_path)
    with pytest.raises(ConfigError, match=r"taskset\.tasks: must be given"):
        environment(tmp_path, address, tasks=None)
    with pytest.raises(ConfigError, match="address"):
        environment(tmp_path, address, task={"judge": {}})
    (tmp_path / "tasks.jsonl").write_text('{"id": "1", "query": "Who?"}\n', encoding="utf-8")
    with pytest.raises(ConfigError, match="without criteria there is no reward: 1"):
        environment(tmp_path, address)
    write = (tmp_path / "agent.toml").write_text
    write("[search]\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"search\.index: must be given|without criteria"):
        environment(tmp_path, address)


def test_the_pages_examples_run(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from verifiers.v1.utils.loaders import resolve_env_config

    write_world(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "agent.toml").write_text(block("toml", "[agent.budget]"), encoding="utf-8")
    with endpoint([calls("search", queries=["apple"]), says(REPORT)]) as (url, _):
        text = block("python", "vf.load_environment").replace("localhost:50051", address)
        exec(text.replace("http://localhost:8000/v1", url), {"__name__": "example"})
    assert capsys.readouterr().out.startswith("orchard 0.75 {")
    ((env,),) = [config["train"]["env"] for config in tomllib.loads(block("toml", "orchestrator")).values()]
    resolved = resolve_env_config(env["env"])
    assert (resolved.taskset.id, str(resolved.agent.harness.settings)) == ("checklist-research", "agent.toml")
    (command,) = re.findall(r"`vf-eval ([^`]+)`", PAGE)
    program = Path(sys.executable).with_name("vf-eval")
    done = subprocess.run([program, *command.split(), "--dry-run", "true"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def unused() -> str:
    """Where nobody listens."""
    return f"127.0.0.1:{free_port()}"
