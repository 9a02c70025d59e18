"""The project's agent as a verl agent loop: the real loop, the real tools, verl's servers behind it.

Named in `train/configs/verl/agent_loop.yaml`. A trajectory is one row, and one more for every compaction of the
context; they share the terminal reward (verl's trainer v1 copies it). What each ending is worth:

    the agent finished, or was made to      the report goes to the reward function
    the policy spent its budget or its room an empty report: the rubric's floor (`train.outcomes`)
    anything of ours or the system's failed raises: verl marks the session failed, and it leaves the batch
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from verl.experimental.agent_loop.agent_loop import AgentLoopBase, AgentLoopMetrics, AgentLoopOutput

from policy.config import Settings, load_settings
from policy.episode import Episode
from policy.errors import ConfigError
from policy.events import Observed, Replied
from policy.kit import Shared, open_shared
from policy.runs import Run, run_episode
from policy.workspace.removal import temporary_folder
from train.agent import check_agent
from train.configs import VERL
from train.toolcache import ToolCache
from train.verl.tokens import Row, ServerModel

__all__ = ["EpisodeFailed", "ResearchAgentLoop", "close"]

_opened: dict[tuple[asyncio.AbstractEventLoop, Path], tuple[asyncio.Future[Shared], asyncio.Task[None], ToolCache]] = {}


class EpisodeFailed(Exception):
    """The system, not the policy, ended an episode: there is nothing to train on."""


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
        shared, cache = await _shared(self._path, self._settings, self._key)
        query = list(row["raw_prompt"])[-1]["content"]
        with temporary_folder("judger-agent-") as folder:
            run = Run(folder)
            episode = await run_episode(run, query, lambda *_: model, shared, self._settings, wrap=cache.of)
        return self._outputs(episode, model)

    def _outputs(self, episode: Episode, model: ServerModel) -> AgentLoopOutput | list[AgentLoopOutput]:
        finished, reply = episode.finished, episode.reply
        assert finished is not None
        # With no report: `final` says that the policy was told to write one and did not; or it wrote its row full.
        is_its_own = reply is not None and (bool(reply.final) or model.is_full)
        if finished.status == "failed" and not is_its_own:
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


async def _shared(path: Path, settings: Settings, key: str | None) -> tuple[Shared, ToolCache]:
    """Index, caches and MCP servers: opened once a process and event loop, for as long as it lives."""
    loop = asyncio.get_running_loop()
    if (loop, path) not in _opened:
        ready: asyncio.Future[Shared] = loop.create_future()
        _opened[loop, path] = ready, loop.create_task(_keep(settings, key, ready)), ToolCache()
    opened, _, cache = _opened[loop, path]
    return await asyncio.shield(opened), cache


async def _keep(settings: Settings, key: str | None, ready: asyncio.Future[Shared]) -> None:
    # One task opens and closes: what MCP opens must be closed by the task that opened it.
    try:
        name = settings.search.api_key_env
        async with open_shared(settings, key=lambda asked: key if asked == name else None) as shared:
            ready.set_result(shared)
            await asyncio.Event().wait()
    except Exception as error:
        if ready.done():
            raise
        ready.set_exception(error)


async def close() -> None:
    """Close what this event loop's episodes shared. A worker of verl never does; it ends with its process."""
    loop = asyncio.get_running_loop()
    for key in [key for key in _opened if key[0] is loop]:
        _, task, _ = _opened.pop(key)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
