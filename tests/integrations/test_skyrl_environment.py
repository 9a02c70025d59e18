"""SkyRL-gym makes our environment by its registered name and steps through episodes, from threads, as SkyRL does."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from judger.errors import InvalidRequest, Unavailable
from policy.errors import ConfigError
from tests.integrations.research import CRITERIA, REPORT, SEARCH, block, write_world

PROMPT = [{"role": "user", "content": "What grows in the orchard?"}]


@pytest.fixture
def make(address: str, tmp_path: Path) -> Iterator[Any]:
    """`make(more, max_turns)`: an environment as SkyRL's generator makes it."""
    import skyrl_gym

    from judger.client.background import BACKGROUND
    from train.opened import close

    settings = write_world(tmp_path)
    made: list[Any] = []

    def build(criteria: Any = CRITERIA, *, max_turns: int = 10, **more: Any) -> Any:
        kwargs = {"address": address, "settings": str(settings), "patience": 60} | more
        name = f"research-{uuid.uuid4()}"
        skyrl_gym.register(id=name, entry_point="train.environments.skyrl:ResearchEnv", kwargs=kwargs)
        spec = {} if criteria is None else {"ground_truth": json.dumps(criteria)}
        extras = {"reward_spec": spec, "max_turns": max_turns}
        made.append(skyrl_gym.make(name, env_config={}, extras=extras))
        return made[-1]

    yield build
    for env in made:
        env.close()
    BACKGROUND.run(close())


def test_turns_with_real_tools_end_in_the_judges_reward(make: Any) -> None:
    env = make()
    shown, _ = env.init(PROMPT)
    assert [one["role"] for one in shown] == ["system", "user"]
    assert '"name": "search"' in shown[0]["content"]
    assert shown[1]["content"] == PROMPT[0]["content"]
    first = env.step(f"<think>I look.</think>{SEARCH}")
    (observed,) = first["observations"]
    assert (observed["role"], first["done"]) == ("user", False)
    assert observed["content"].startswith("<tool_response>\n")
    assert "An apple tree stands in the orchard" in observed["content"]
    last = env.step(REPORT)
    assert (last["done"], last["observations"]) == (True, [])
    assert first["reward"] == pytest.approx(-1 / 4)  # the floor: all of an episode that is cut off here
    assert first["reward"] + last["reward"] == pytest.approx(3 / 4)
    assert env.get_metrics()["explicit"] == 0.75


def test_a_malformed_call_is_told_and_nothing_is_shown_twice(make: Any) -> None:
    env = make()
    env.init(PROMPT)
    told = env.step("<tool_call>\n{broken\n</tool_call>")["observations"]
    assert "That call was not carried out" in told[0]["content"]
    assert "broken" not in told[0]["content"].replace("broken off", "")
    two = f"{SEARCH}\n{SEARCH}"
    (observed,) = env.step(two)["observations"]
    assert observed["content"].count("<tool_response>") == 2


def test_the_generators_turns_bound_the_episode_and_silence_is_worth_the_floor(make: Any) -> None:
    env = make(max_turns=2)
    env.init(PROMPT)
    (observed,) = env.step(SEARCH)["observations"]
    assert "Your budget is used up (2 turns)" in observed["content"]
    step = env.step(SEARCH)
    assert (step["done"], step["reward"]) == (True, pytest.approx(0.0))  # the floor was given with the first step


def test_one_step_has_the_whole_reward(make: Any) -> None:
    env = make()
    env.init(PROMPT)
    assert env.step(REPORT)["reward"] == pytest.approx(3 / 4)


def test_many_episodes_at_once_keep_apart_and_one_left_halfway_is_closed(make: Any) -> None:
    envs = [make() for _ in range(8)]

    def run(env: Any, number: int) -> float:
        env.init(PROMPT)
        total = env.step(SEARCH)["reward"]
        if number == 0:
            return total  # SkyRL's limit of tokens: nobody steps again
        return total + env.step(f"{REPORT} Also a pear." if number % 2 else REPORT)["reward"]

    with ThreadPoolExecutor(8) as threads:
        totals = list(threads.map(run, envs, range(8)))
    assert totals == pytest.approx([-0.25, *([1.0, 0.75] * 4)[:7]])


def test_what_has_no_reward_raises(make: Any) -> None:
    env = make(address="127.0.0.1:1", patience=0.1, timeout=1)
    env.init(PROMPT)
    with pytest.raises(Unavailable):
        env.step(REPORT)
    with pytest.raises(ConfigError, match="No such file"):
        make(settings="/no/such/file.toml")
    with pytest.raises(InvalidRequest, match=r"reward_spec\.ground_truth"):
        make(None)


def test_tasks_become_rows_that_make_environments(make: Any, tmp_path: Path) -> None:
    from datasets import Dataset

    from train.environments import skyrl

    out = tmp_path / "rows.parquet"
    assert skyrl.main([str(tmp_path / "tasks.jsonl"), "-o", str(out)]) == 0
    (row,) = Dataset.from_parquet(str(out), cache_dir=str(tmp_path / "cache"))
    assert row["env_class"] == "research"
    env = make(json.loads(row["reward_spec"]["ground_truth"]))
    env.init(row["prompt"])
    assert env.step(REPORT)["reward"] == pytest.approx(3 / 4)
    (tmp_path / "tasks.jsonl").write_text('{"id": "1", "query": "Who?"}\n', encoding="utf-8")
    assert skyrl.main([str(tmp_path / "tasks.jsonl"), "-o", str(out)]) == 2


def test_the_pages_example_runs(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_world(tmp_path)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "example"}
    exec(block("python", "skyrl_gym").replace("localhost:50051", address), names)
    assert "An apple tree stands in the orchard" in capsys.readouterr().out
    assert names["total"] == 1.0
