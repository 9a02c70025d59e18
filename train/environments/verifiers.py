"""verifiers and prime-rl: tasks with rubrics as a taskset, the agent as a harness, the reward by `train.outcomes`.

Their id is `checklist-research`, which names the top-level module that exports both. The harness runs the agent in
verifiers' own process; each model call goes through the interception server, so that the trace has the tokens, the
masks and the log-probabilities, and a compaction of the context begins a branch, which prime-rl trains on as a sample
of its own. What each ending is worth:

    the agent finished, or was made to                  the judge's reward for the report
    the policy spent budget, room or time without one   the rubric's floor
    anything of ours or the system's failed             an error on the trace, and no reward
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Literal

import verifiers.v1 as vf
from pydantic import Field

from judger.given import criteria_of
from policy.config import load_settings
from policy.errors import ConfigError
from policy.models.openai import OpenAIModel
from policy.rollouts import read_tasks
from policy.runs import Run, run_episode
from policy.workspace.removal import temporary_folder
from train.access import JudgeAccess
from train.agent import check_agent
from train.environments.watched import Watched
from train.opened import opened
from train.outcomes import EpisodeFailed, blame_of
from train.rows import criteria_json, tasks_with_rubrics
from train.scoring import score

__all__ = [
    "ResearchData",
    "ResearchHarness",
    "ResearchHarnessConfig",
    "ResearchTask",
    "ResearchTaskConfig",
    "ResearchTaskset",
    "ResearchTasksetConfig",
]


class ResearchData(vf.TaskData):  # type: ignore[misc]
    """A task: its query is the prompt."""

    rubric: str
    """The criteria, as JSON text."""


class ResearchTaskConfig(vf.TaskConfig):  # type: ignore[misc]
    """How reports are judged."""

    judge: dict[str, Any] = Field(default_factory=dict)
    """`address` (HOST:PORT), and what else `train.access.JudgeAccess` takes: `token_file`, `ca`, `judge_id`, ..."""
    mapping: Literal["strict", "ternary", "expected"] = "strict"
    """How verdicts become the reward."""

    def access(self) -> JudgeAccess:
        """How to reach the judge. Raises ConfigError."""
        return JudgeAccess.checked(**{"patience": 1800.0, **self.judge})


class ResearchTask(vf.Task[ResearchData, vf.State, ResearchTaskConfig]):  # type: ignore[misc]
    """A query, whose report is the trace's last reply: our harness puts it there, others leave theirs."""

    @property
    def key(self) -> str:
        """The task's id: it stays the same where tasks are added."""
        return str(self.data.id)

    @vf.reward  # type: ignore[untyped-decorator]
    async def checklist(self, trace: vf.Trace) -> float:
        """The reward; the figures beside it are metrics. Raises Unjudged, Unavailable: then the trace has none."""
        criteria = criteria_of(self.data.rubric)
        found = await score(
            self.data.prompt, trace.last_reply, criteria, self.config.access(), mapping=self.config.mapping
        )
        trace.record_metrics({name: value for name, value in found.items() if name != "score"})
        return found["score"]


class ResearchTasksetConfig(vf.TasksetConfig):  # type: ignore[misc]
    """Which tasks."""

    id: str = "checklist-research"
    tasks: Path | None = None
    """A file of tasks, a line each with `id`, `query` and `criteria`: what `judger-train tasks` writes."""
    task: ResearchTaskConfig = ResearchTaskConfig()


class ResearchTaskset(vf.Taskset[ResearchTask, ResearchTasksetConfig]):  # type: ignore[misc]
    """The tasks of a file. Raises ConfigError, before anything runs, where it or the judge's address is wrong."""

    def __init__(self, config: ResearchTasksetConfig) -> None:
        super().__init__(config)
        if config.tasks is None:
            raise ConfigError("taskset.tasks: must be given, a file of tasks")
        config.task.access()
        self._tasks = tasks_with_rubrics(read_tasks(config.tasks), config.tasks)

    def load(self) -> Iterable[ResearchTask]:
        for task in self._tasks:
            data = ResearchData(id=task.id, prompt=task.query, rubric=criteria_json(task.criteria))
            yield ResearchTask(data, self.config.task)


class ResearchHarnessConfig(vf.HarnessConfig):  # type: ignore[misc]
    """How the agent works."""

    id: str = "checklist-research"
    settings: Path | None = None
    """The agent's settings file. Of its `[model]` only time limits count: the model is the run's."""


class ResearchHarness(vf.Harness[ResearchHarnessConfig]):  # type: ignore[misc]
    """The agent, its own tools around it. Raises ConfigError where there is nothing to search, or no key for it."""

    # It runs here; a shell, where the settings offer one, has walls of its own.
    EXECUTES_CODE: ClassVar[bool] = False
    NEEDS_CONTAINER: ClassVar[bool] = False
    SUPPORTS_MCP: ClassVar[bool] = False

    def __init__(self, config: ResearchHarnessConfig) -> None:
        super().__init__(config)
        self._settings = load_settings(config.settings)
        self._key = os.environ.get(self._settings.search.api_key_env)
        check_agent(self._settings, config.settings, self._key)

    async def launch(
        self,
        ctx: vf.ModelContext,
        trace: vf.Trace,
        runtime: vf.Runtime,
        endpoint: str,
        secret: str,
        mcp_urls: dict[str, str],
        data: vf.TaskData,
    ) -> vf.ProgramResult:
        """One episode; its report is the trace's reply. Raises EpisodeFailed where the system ended it, ModelAway."""
        if not isinstance(data.prompt, str) or data.system_prompt is not None:
            raise ConfigError("the agent has instructions of its own, and takes one query: no chat, no system prompt")
        if mcp_urls:
            raise ConfigError(
                f"tool servers {', '.join(mcp_urls)}: the agent takes its own, from [[mcp]] in its settings"
            )
        trace.root_reply = ""  # until there is a report, and where the trainer's time ends first
        # Thoughts go back: without them each turn would have another history, and be a sample of its own.
        given = {"backend": "openai", "name": ctx.model, "base_url": endpoint, "send_thoughts": True}
        model = OpenAIModel(self._settings.model.model_copy(update=given), api_key=secret)
        watched = Watched(model)
        shared, cache = await opened(self.config.settings or Path(), self._settings, self._key)
        try:
            with temporary_folder("judger-agent-") as folder:
                episode = await run_episode(
                    Run(folder), data.prompt, lambda *_: watched, shared, self._settings, wrap=cache.of
                )
        finally:
            await model.aclose()
        assert episode.finished is not None
        if blame_of(episode, is_full=watched.is_full) == "system":
            raise EpisodeFailed(episode.finished.reason)
        trace.root_reply = episode.finished.report
        return vf.ProgramResult(0, "", "")
