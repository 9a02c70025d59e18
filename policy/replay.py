"""An episode run again on what was recorded: the same loop, no model, no tools, no network."""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from policy.agent import Agent
from policy.config import AgentConfig
from policy.episode import Episode
from policy.errors import ModelError
from policy.events import Compacted, Event, Observed, Replied, Started
from policy.model import Completion, Schema, ToolCall
from policy.models.scripted import ScriptedModel
from policy.tools.base import ToolAnswer
from policy.trajectory import events_of
from policy.workspace.files import Workspace

__all__ = ["RecordedTools", "recorded_model", "rerun", "restored"]


class RecordedTools:
    """Answers a call as it was answered then; equal calls in their old order. Also for another model's replies."""

    def __init__(self, record: Mapping[str, Any]) -> None:
        self.schemas: list[Schema] = json.loads(record["tools"])
        self.plan = ""
        self._answers: dict[tuple[str, str], deque[Observed]] = defaultdict(deque)
        episode = Episode()
        for event in events_of(record):
            if isinstance(event, Observed) and event.name:
                call = episode.calls()[episode.answered]
                self._answers[call.name, call.arguments].append(event)
            episode.apply(event)

    def only_reads(self, call: ToolCall) -> bool:
        return False  # equal calls are answered in their old order

    async def call(self, call: ToolCall) -> ToolAnswer:
        answers = self._answers.get((call.name, call.arguments))
        if not answers:
            return ToolAnswer("This call was not made in the recorded episode, so there is no answer to it.", True)
        event = answers.popleft() if len(answers) > 1 else answers[0]
        self.plan = event.todo
        text = event.message["content"].removesuffix(event.footer)
        return ToolAnswer(text, event.is_error, tuple(event.sources))


def recorded_model(record: Mapping[str, Any]) -> ScriptedModel:
    """A model that replies as the recorded one did, tokens and log-probabilities included, and sums up as it did."""
    config = AgentConfig.model_validate(json.loads(record["settings"]).get("agent", {}))
    steps: list[Completion | Exception] = []
    for event in events_of(record):
        if isinstance(event, Replied):
            steps.append(_completion(event))
        elif isinstance(event, Compacted) and config.context.summary == "model":
            steps.append(_summary(event))
    return ScriptedModel(steps)


async def rerun(
    record: Mapping[str, Any], workspace: Workspace, *, on_event: Callable[[Event], None] = lambda _: None
) -> Episode:
    """The episode of the record, run again by the loop with its own settings."""
    tools = RecordedTools(record)
    started = next(event for event in events_of(record) if isinstance(event, Started))
    config = AgentConfig.model_validate(started.settings.get("agent", {}))
    episode = Episode.of([started])
    on_event(started)
    agent = Agent(recorded_model(record), tools, workspace, config, plan=lambda: tools.plan, on_event=on_event)
    return await agent.run(episode)


def restored(record: Mapping[str, Any], folder: Path) -> Workspace:
    """A workspace that holds the recorded report under the name it was handed in by."""
    workspace = Workspace(folder)
    last = record["messages"][-1]["content"].strip().strip("`")
    if record["report"] and record["report"] != last:
        workspace.write(last.removeprefix("report:").strip(), record["report"])
    return workspace


def _summary(event: Compacted) -> Completion | Exception:
    if not event.prompt_tokens and not event.written:
        return ModelError("it gave no summary then")
    return Completion(
        content=event.written, prompt_tokens=event.prompt_tokens, completion_tokens=event.completion_tokens
    )


def _completion(event: Replied) -> Completion:
    calls = tuple(
        ToolCall(call["id"], call["function"]["name"], call["function"]["arguments"])
        for call in event.message.get("tool_calls") or ()
    )
    return Completion(
        content=event.message.get("content") or "",
        thought=event.message.get("reasoning_content") or "",
        tool_calls=calls,
        malformed=tuple(event.malformed),
        finish=event.finish,  # type: ignore[arg-type]
        prompt_tokens=event.prompt_tokens,
        completion_tokens=event.completion_tokens,
        token_ids=None if event.token_ids is None else tuple(event.token_ids),
        logprobs=None if event.logprobs is None else tuple(event.logprobs),
    )
