"""SkyRL: `register(id="research", entry_point="train.environments.skyrl:ResearchEnv", kwargs={...})`.

An episode of the agent, turn by turn: an action is the policy's reply, the observations are what its calls came to.
The agent's history only grows, as SkyRL's does, so it is never compacted: SkyRL ends an episode that outgrows
`max_input_length`, without telling the environment. So that such a one is not worth more than trying, the first step's
reward is the rubric's floor, and the last one's is what the report earns above it; their sum is the reward.

    python -m train.environments.skyrl TASKS.jsonl -o TASKS.parquet      tasks -> the rows that SkyRL reads
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from skyrl_gym.envs.base_text_env import BaseTextEnv, BaseTextEnvStepOutput

from judger.client.background import BACKGROUND
from judger.errors import InvalidRequest
from judger.given import criteria_of
from policy.config import Settings, load_settings
from policy.episode import Episode
from policy.model import Model
from policy.rollouts import Task, read_tasks
from policy.runs import Run, run_episode
from policy.workspace.removal import temporary_folder
from train.access import JudgeAccess
from train.agent import check_agent
from train.environments.dialogue import Asked, Dialogue
from train.opened import opened
from train.outcomes import EpisodeFailed, blame_of, floor
from train.rows import command, criteria_json, tasks_with_rubrics
from train.scoring import score

__all__ = ["ResearchEnv", "row", "write"]

_NEVER = 10**9
"""Tokens of context: as many as no episode has."""


class ResearchEnv(BaseTextEnv):  # type: ignore[misc]
    """One episode.

    Args:
        env_config: SkyRL's own, unread.
        extras: the row, with the rubric in `reward_spec.ground_truth`; of `max_turns` (the generator's) and the agent's
            own budget of turns the smaller counts.
        address: of the judge; `judge` is the rest of `train.access.JudgeAccess`: `token_file`, `ca`, `patience`, ...
        settings: the agent's settings file.
        mapping: how verdicts become the reward, by name.

    Raises ConfigError, InvalidRequest where any of it is wrong.
    """

    def __init__(
        self,
        env_config: Any = None,
        extras: Mapping[str, Any] | None = None,
        *,
        address: str,
        settings: str,
        mapping: str = "strict",
        **judge: Any,
    ) -> None:
        super().__init__()
        given = extras or {}
        rubric = (given.get("reward_spec") or {}).get("ground_truth")
        if rubric is None:
            raise InvalidRequest("reward_spec.ground_truth", "is missing: there is no rubric to judge by")
        self._criteria = criteria_of(rubric)
        self._access = JudgeAccess.checked(**{"address": address, "patience": 1800.0, **judge})
        self._mapping, self._path = mapping, Path(settings)
        agent = load_settings(self._path)
        self._key = os.environ.get(agent.search.api_key_env)
        check_agent(agent, self._path, self._key)
        self._settings = _append_only(agent, given.get("max_turns"))
        self._query = ""
        self._dialogue: Dialogue | None = None
        self._figures: dict[str, float] = {}
        self._floor = floor(self._criteria)

    def init(self, prompt: Any) -> tuple[Any, dict[str, Any]]:
        """The agent's instructions with its tools, and the query: the last message of the row's prompt."""
        self._query = str(list(prompt)[-1]["content"])
        asked = BACKGROUND.run(self._begin())
        return asked.messages, {}

    def step(self, action: str) -> BaseTextEnvStepOutput:
        """The policy's reply, and what comes of it. Blocks. Raises EpisodeFailed, Unjudged, Unavailable: there is no
        reward that would mean "not judged"."""
        found, value = BACKGROUND.run(self._step(action))
        # The floor in advance, for an episode that ends without another step.
        reward = self._floor if not self.turns else 0.0
        self.turns += 1
        if value is not None:
            reward += value - self._floor
        return BaseTextEnvStepOutput(
            observations=found, reward=reward, done=value is not None, metadata={}, postprocessed_action=None
        )

    def get_metrics(self) -> dict[str, Any]:
        """The figures beside the reward, of an episode that was judged."""
        return dict(self._figures)

    def close(self) -> None:
        """Ends the episode, wherever it stands."""
        if self._dialogue is not None:
            BACKGROUND.run(self._dialogue.aclose())

    async def _begin(self) -> Asked:
        shared, cache = await opened(self._path, self._settings, self._key)

        async def run(model: Model) -> Episode:
            with temporary_folder("judger-agent-") as folder:
                return await run_episode(
                    Run(folder), self._query, lambda *_: model, shared, self._settings, wrap=cache.of
                )

        self._dialogue = Dialogue(run)
        asked = await self._dialogue.next()
        assert isinstance(asked, Asked)
        return asked

    async def _step(self, action: str) -> tuple[list[dict[str, Any]], float | None]:
        assert self._dialogue is not None, "init comes first"
        found = await self._dialogue.say(action)
        if isinstance(found, Asked):
            return found.messages, None
        assert found.finished is not None
        if blame_of(found, is_full=False) == "system":
            raise EpisodeFailed(found.finished.reason)
        self._figures = await score(
            self._query, found.finished.report, self._criteria, self._access, mapping=self._mapping
        )
        return [], self._figures["score"]


def _append_only(settings: Settings, max_turns: int | None) -> Settings:
    agent = settings.agent
    budget = agent.budget
    if max_turns is not None:
        budget = budget.model_copy(update={"turns": min(budget.turns, max_turns)})
    context = agent.context.model_copy(update={"tokens": _NEVER})
    return settings.model_copy(update={"agent": agent.model_copy(update={"budget": budget, "context": context})})


def row(task: Task) -> dict[str, Any]:
    """A task as SkyRL's data set has it."""
    return {
        "data_source": "research",
        "env_class": "research",
        "prompt": [{"role": "user", "content": task.query}],
        "reward_spec": {"method": "rubric", "ground_truth": criteria_json(task.criteria)},
        "extra_info": {"id": task.id},
    }


def write(tasks: Path, out: Path) -> int:
    """Write the Parquet file; the number of rows. Raises ConfigError where a task is wrong or has no criteria."""
    import datasets

    rows = [row(task) for task in tasks_with_rubrics(read_tasks(tasks), tasks)]
    datasets.Dataset.from_list(rows).to_parquet(out)
    return len(rows)


def main(argv: Sequence[str] | None = None) -> int:
    """0 done; 2 the tasks are wrong."""
    return command("train.environments.skyrl", write, argv)


if __name__ == "__main__":
    sys.exit(main())
