"""The project's agent as a verl agent loop: the real loop, the real tools, verl's servers behind it.

Named in `train/configs/verl/agent_loop.yaml`. A trajectory is one row, and one more for every compaction of the
context; they share the terminal reward (verl's trainer v1 copies it). What each ending is worth:

    the agent finished, or was made to      the report goes to the reward function
    the policy spent its budget or its room an empty report: the rubric's floor (`train.outcomes`)
    anything of ours or the system's failed raises: verl marks the session failed, and it leaves the batch
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from verl.experimental.agent_loop.agent_loop import AgentLoopBase, AgentLoopMetrics, AgentLoopOutput

from policy.config import Settings, load_settings
from policy.episode import Episode
from policy.errors import ConfigError
from policy.events import Observed, Replied
from policy.runs import Run, run_episode
from policy.workspace.removal import temporary_folder
from train.agent import check_agent
from train.configs import VERL
from train.opened import opened
from train.outcomes import EpisodeFailed, blame_of
from train.verl.tokens import Row, ServerModel

__all__ = ["EpisodeFailed", "ResearchAgentLoop"]


class ResearchAgentLoop(AgentLoopBase):
    """One episode. `settings` is a file of the agent's settings; its [model] is not used, the servers are."""

    def __init__(self, *args: Any, settings: str | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._path = Path(settings) if settings else VERL / "agent.toml"
        self._settings = load_settings(self._path)
        self._key = os.environ.get(self._settings.search.api_key_env)
        check_agent(self._settings, self._path, self._key)
        _check(self._settings, self.rollout_config.prompt_length + self.rollout_config.response_length)

    async def run(self, sampling_params: dict[str, Any], **row: Any) -> AgentLoopOutput | list[AgentLoopOutput]:
        """`row` is what the data set has (`train.verl.data`); the query is its last message."""
        model = ServerModel(
            self.server_manager,
            self.continuous_token_builder,
            sampling_params,
            prompt_length=self.rollout_config.prompt_length,
            response_length=self.rollout_config.response_length,
        )
        shared, cache = await opened(self._path, self._settings, self._key)
        query = list(row["raw_prompt"])[-1]["content"]
        with temporary_folder("judger-agent-") as folder:
            run = Run(folder)
            episode = await run_episode(run, query, lambda *_: model, shared, self._settings, wrap=cache.of)
        return self._outputs(episode, model)

    def _outputs(self, episode: Episode, model: ServerModel) -> AgentLoopOutput | list[AgentLoopOutput]:
        finished = episode.finished
        assert finished is not None
        if blame_of(episode, is_full=model.is_full) == "system":
            raise EpisodeFailed(finished.reason)
        extra = {
            **model.extra,
            "report": finished.report,
            "status": finished.status,
            "tool_errors": sum(isinstance(event, Observed) and event.is_error for event in episode.events),
            "turn_scores": [],
            "tool_rewards": [],
        }
        metrics = AgentLoopMetrics(
            generate_sequences=sum(event.seconds for event in episode.events if isinstance(event, Replied)),
            tool_calls=sum(event.seconds for event in episode.events if isinstance(event, Observed)),
            num_preempted=-1 if model.preempted is None else model.preempted,
        )
        rows = [one.trimmed() for one in model.rows if any(one.mask)]
        outputs = [_output(one, len(episode.messages) - 1, metrics, dict(extra)) for one in rows]
        return outputs[0] if len(outputs) == 1 else outputs


def _output(row: Row, turns: int, metrics: AgentLoopMetrics, extra: dict[str, Any]) -> AgentLoopOutput:
    return AgentLoopOutput(
        prompt_ids=row.prompt,
        response_ids=row.response,
        response_mask=row.mask,
        response_logprobs=row.logprobs if any(row.logprobs) else None,
        num_turns=turns,
        metrics=metrics,
        extra_fields=extra,
    )


def _check(settings: Settings, room: int) -> None:
    """The agent compacts before a row is full, or verl would have to cut it."""
    context, budget = settings.agent.context, settings.agent.budget
    needed = int(context.tokens * context.compact_at) + budget.turn_tokens
    if needed > room:
        raise ConfigError(
            f"agent.context.tokens * compact_at + agent.budget.turn_tokens is {needed:,} tokens, more than the "
            f"{room:,} of data.max_prompt_length + data.max_response_length"
        )
