"""The agent: one ReAct loop. Ask the model, carry out its calls, show it what came of them, until it reports.

    reply = model.complete(history)          think
    outcome = tools.call(call)               act
    history += observation                   observe
    a reply without calls is the report

Step-DeepResearch, arXiv 2512.20491, sections 5 and 7.1. Whatever the model writes wrong becomes an observation; only a
model that gives no reply ends an episode as failed. Everything that happens is an event (`policy.events`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from policy import context
from policy.config import AgentConfig
from policy.episode import Episode
from policy.errors import ContextFull, ModelError, ToolError
from policy.events import Compacted, Event, Finished, Observed, Replied, Status
from policy.model import Completion, Message, Model, Schema, ToolCall
from policy.tools.base import ToolAnswer
from policy.workspace.files import Workspace

__all__ = ["Agent", "Tools"]

_STORED_CHARS = 2_000_000


class Tools(Protocol):
    """What carries calls out (`policy.tools.base.Toolbox`, or recorded observations)."""

    schemas: list[Schema]

    async def call(self, call: ToolCall) -> ToolAnswer: ...


class Agent:
    """Runs an episode. `plan` shows the todo list; `on_event` is told of every event right after it is applied."""

    def __init__(
        self,
        model: Model,
        tools: Tools,
        workspace: Workspace,
        config: AgentConfig,
        *,
        plan: Callable[[], str] = lambda: "",
        on_event: Callable[[Event], None] = lambda _: None,
    ) -> None:
        self._model, self._tools, self._workspace, self._config = model, tools, workspace, config
        self._plan, self._on_event = plan, on_event

    async def run(self, episode: Episode) -> Episode:
        """Bring a started episode to its end, from wherever it stands."""
        try:
            if episode.reply is not None and episode.finished is None:
                await self._act(episode)  # of a resumed episode, the last turn may be half done
            while episode.finished is None:
                await self._ask(episode)
                await self._act(episode)
        except ModelError as error:
            self._emit(episode, Finished(status="failed", reason=str(error), seconds=episode.seconds))
        return episode

    async def _ask(self, episode: Episode) -> None:
        spent = self._spent(episode)
        if spent:
            self._note(episode, f"Your budget is used up ({spent}). Write the whole report now, without further calls.")
        if episode.context_tokens > self._config.context.tokens * self._config.context.compact_at:
            self._compact(episode)
        start = time.perf_counter()
        try:
            reply = await self._complete(episode, use_tools=not spent)
        except ContextFull:
            if not self._compact(episode):
                raise
            reply = await self._complete(episode, use_tools=not spent)
        self._emit(episode, _replied(episode.turns + 1, reply, spent, time.perf_counter() - start))

    async def _complete(self, episode: Episode, *, use_tools: bool) -> Completion:
        budget = self._config.budget
        room = max(256, min(budget.turn_tokens, budget.total_tokens - episode.total_tokens))
        return await self._model.complete(episode.view(), self._tools.schemas, max_tokens=room, use_tools=use_tools)

    async def _act(self, episode: Episode) -> None:
        reply, calls = episode.reply, episode.calls()
        assert reply is not None
        if reply.final or not (calls or reply.malformed or reply.finish == "length"):
            self._end(episode, reply)
            return
        for number in range(episode.answered, len(calls)):
            is_last = number == len(calls) - 1 and not reply.malformed
            await self._observe(episode, calls[number], number, is_last=is_last)
        if episode.answered > len(calls):
            return
        if reply.malformed:
            faults = "\n".join(reply.malformed)
            self._note(episode, f"{faults}\nThat call was not carried out; send it again in the right form.")
        elif not calls:
            self._note(
                episode,
                "Your reply was cut off at its length limit. Go on in smaller steps; a long report is best written to "
                "a file in several parts.",
            )

    async def _observe(self, episode: Episode, call: ToolCall, number: int, *, is_last: bool) -> None:
        budget = self._config.budget
        start = time.perf_counter()
        if number >= budget.calls_per_turn or episode.tool_calls >= budget.tool_calls:
            outcome = ToolAnswer(
                "Not carried out: there are too many calls in this turn, or the budget is used up.", True
            )
        else:
            outcome = await self._tools.call(call)
        seconds = time.perf_counter() - start
        text, stored = self._fit(episode, call, outcome.text)
        plan = self._plan()
        footer = self._footer(episode, plan) if is_last else ""
        message: Message = {"role": "tool", "tool_call_id": call.id, "content": text + footer}
        self._emit(
            episode,
            Observed(
                turn=episode.turns,
                message=message,
                name=call.name or "?",
                is_error=outcome.is_error,
                seconds=seconds,
                footer=footer,
                stored=stored,
                todo=plan,
                sources=list(outcome.sources),
            ),
        )

    def _fit(self, episode: Episode, call: ToolCall, text: str) -> tuple[str, str]:
        """The observation as the model sees it, and the file that holds it whole where it is long."""
        limits = self._config.context
        if len(text) > _STORED_CHARS:
            text = f"{text[: _STORED_CHARS - 100]}\n[cut here: the result had {len(text):,} characters]"
        text = context.clean(text)
        if len(text) <= limits.observation_chars:
            return text or "(no output)", ""
        handle = f"observations/{episode.turns:03d}-{episode.answered}-{call.name}.txt"
        try:
            self._workspace.write(handle, text)
        except ToolError as error:
            return text[: limits.summary_chars] + f"\n[cut here; the rest could not be stored: {error}]", ""
        return context.shorten(text, f"{episode.query} {call.arguments}", handle, limits.summary_chars), handle

    def _footer(self, episode: Episode, plan: str) -> str:
        budget = self._config.budget
        shown = f"\n\n[todo]\n{plan}" if plan else ""
        calls = max(0, budget.tool_calls - episode.tool_calls - 1)
        return f"{shown}\n\n[turn {episode.turns} of {budget.turns}, {calls} tool calls left]"

    def _note(self, episode: Episode, text: str) -> None:
        message: Message = {"role": "user", "content": text}
        if episode.messages[-1] == message:
            return  # said before the crash that this episode is resumed from
        self._emit(episode, Observed(turn=episode.turns, message=message, todo=self._plan()))

    def _spent(self, episode: Episode) -> str:
        """Which budget is used up, so that the coming turn is the last; empty while there is some of each."""
        budget = self._config.budget
        if episode.turns >= budget.turns - 1:
            return f"{budget.turns} turns"
        if episode.tool_calls >= budget.tool_calls:
            return f"{budget.tool_calls} tool calls"
        if episode.total_tokens >= budget.total_tokens:
            return f"{budget.total_tokens:,} tokens"
        if episode.seconds >= budget.seconds:
            return f"{budget.seconds:g} seconds"
        return ""

    def _end(self, episode: Episode, reply: Replied) -> None:
        report = self._report(reply.message["content"])
        if report:
            status: Status = "forced" if reply.final else "done"
            self._emit(episode, Finished(status=status, reason=reply.final, report=report, seconds=episode.seconds))
        elif reply.final:
            reason = f"no report when the budget was used up ({reply.final})"
            self._emit(episode, Finished(status="failed", reason=reason, seconds=episode.seconds))
        elif episode.answered == 0:
            self._note(episode, "You said nothing and called no tool. Call a tool, or write the report.")

    def _report(self, content: str) -> str:
        """The reply itself, or the workspace file that it names and nothing else."""
        name = content.strip().strip("`").removeprefix("report:").strip()
        if name and len(name) < 200 and "\n" not in name and self._workspace.exists(name):
            try:
                return self._workspace.read(name).strip()
            except ToolError:
                return content.strip()
        return content.strip()

    def _compact(self, episode: Episode) -> bool:
        """Put a summary in place of the older turns; whether there was anything to take out."""
        limits = self._config.context
        keep = min(limits.keep_turns, len(episode.turn_starts) - 1)
        target = limits.tokens * limits.compact_at / 2
        while keep > 1 and sum(map(context.estimate_tokens, episode.messages[episode.turn_starts[-keep] :])) > target:
            keep -= 1
        if keep < 1 or episode.turn_starts[-keep] <= episode.keep_from:
            return False
        keep_from = episode.turn_starts[-keep]
        try:
            files = [entry.path for entry in self._workspace.list()[0]]
        except ToolError:
            files = []  # the shell may have taken the folder away
        # Characters: half of what the compaction may leave, at four to a token.
        most = int(target * 2)
        summary = context.compaction(episode.messages, keep_from, self._plan(), episode.sources, files, most)
        self._emit(episode, Compacted(turn=episode.turns, keep_from=keep_from, summary=summary))
        return True

    def _emit(self, episode: Episode, event: Event) -> None:
        episode.apply(event)
        self._on_event(event)


def _replied(turn: int, reply: Completion, final: str, seconds: float) -> Replied:
    return Replied(
        turn=turn,
        message=reply.message(),
        malformed=list(reply.malformed),
        finish=reply.finish,
        final=final,
        prompt_tokens=reply.prompt_tokens,
        completion_tokens=reply.completion_tokens,
        seconds=seconds,
        token_ids=None if reply.token_ids is None else list(reply.token_ids),
        logprobs=None if reply.logprobs is None else list(reply.logprobs),
    )
