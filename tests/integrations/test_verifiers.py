"""verifiers' own task, which builds and runs the judge that its configuration names."""

from __future__ import annotations

from typing import Any

import pytest


def scored(address: str, rubric: list[str], **judge: Any) -> Any:
    import asyncio

    import verifiers.v1 as vf
    from verifiers.v1.trace import AgentInfo, Trace, TraceTask

    class Data(vf.TaskData):
        rubric: list[str]

    class Task(vf.Task[Data, vf.State, vf.TaskConfig]):
        pass

    config = vf.TaskConfig(judges=[{"id": "checklist-judger", "address": address, **judge}])
    task = Task(Data(prompt="fruit?", rubric=rubric), config)
    trace = Trace.model_construct(
        task=TraceTask(type="Task", data=task.data), agent=AgentInfo.model_construct(), rewards={}, metrics={},
        root_reply="<think>pear</think>an apple", nodes=[],
    )  # fmt: skip
    try:
        asyncio.run(task.score(trace))
    finally:
        scored.rewards = trace.rewards  # type: ignore[attr-defined]
    return trace.rewards["checklist-judger"]


def test_a_judge_is_found_by_its_id_and_weighed(address: str) -> None:
    reward = scored(address, ["apple", "pear"], weight=2.0)
    assert (reward.score, reward.weight) == (0.5, 2.0)


def test_a_report_without_a_reward_is_a_task_error_and_no_number(address: str) -> None:
    from verifiers.v1.errors import TaskError

    with pytest.raises(TaskError, match="too_long"):
        scored(address, ["apple", "[[unscored=too_long]]"])
    assert scored.rewards == {"checklist-judger": None}  # type: ignore[attr-defined]


def test_settings_of_a_language_models_endpoint_are_refused(address: str) -> None:
    with pytest.raises(ValueError, match="model: of a language model's endpoint"):
        scored(address, ["apple"], model="gpt")
