"""The agent: one ReAct loop. Ask the model, carry out its calls, show it what came of them, until it reports.

    reply = model.complete(history)          think
    outcome = tools.call(call)               act
    history += observation                   observe
    a reply without calls is the report

Step-DeepResearch, arXiv 2512.20491, sections 5 and 7.1. Whatever the model writes wrong becomes an observation; only a
model that refuses to reply ends an episode as failed, and one that is away leaves it as it stands. Everything that
happens is an event (`policy.events`).
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from policy import compaction, context, handin
from policy.config import AgentConfig
from policy.episode import Episode
from policy.errors import ContextFull, ModelAway, ModelError, ToolError
from policy.events import Event, Finished, Observed, Replied, Status
from policy.model import Completion, Message, Model, Schema, ToolCall
from policy.tools.base import ToolAnswer
from policy.workspace.files import Workspace

__all__ = ["Agent", "Tools"]

_STORED_CHARS = 2_000_000


class Tools(Protocol):
    """What carries calls out (`policy.tools.base.Toolbox`, or recorded observations)."""

    schemas: list[Schema]

    async def call(self, call: ToolCall) -> ToolAnswer: ...

    def only_reads(self, call: ToolCall) -> bool:
        """Whether the call may be carried out beside others, since it changes nothing."""
        ...


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
        self._window: int | None = None
        """Tokens of prompt and reply that the model takes, as far as it has said so."""

    async def run(self, episode: Episode) -> Episode:
        """Bring a started episode to its end, from wherever it stands. Raises ModelAway, and then it can go on."""
        try:
            if episode.reply is not None and episode.finished is None:
                await self._act(episode)  # of a resumed episode, the last turn may be half done
            while episode.finished is None:
                await self._ask(episode)
                await self._act(episode)
        except ModelAway:
            raise
        except ModelError as error:
            self._emit(episode, Finished(status="failed", reason=str(error), seconds=episode.seconds))
        return episode

    async def _ask(self, episode: Episode) -> None:
        spent = self._spent(episode)
        if spent:
            self._note(episode, f"Your budget is used up ({spent}). Write the whole report now, without further calls.")
        if episode.context_tokens > self._context() * self._config.context.compact_at:
            await self._compact(episode)
        start = time.perf_counter()
        while True:
            try:
                reply = await self._complete(episode, use_tools=not spent)
                break
            except ContextFull as full:
                self._window = full.window or self._window or int(episode.context_tokens * 0.9)
                if not await self._compact(episode):
                    raise
        self._emit(episode, _replied(episode.turns + 1, reply, spent, time.perf_counter() - start))

    def _context(self) -> int:
        """Tokens that a prompt may have, with room for a reply where the model's window is known."""
        tokens = self._config.context.tokens
        if self._window is None:
            return tokens
        return min(tokens, self._window - min(self._config.budget.turn_tokens, self._window // 4))

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
        await self._carry_out(episode, calls, is_last=not reply.malformed)
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

    async def _carry_out(self, episode: Episode, calls: Sequence[ToolCall], *, is_last: bool) -> None:
        """All calls of a turn, observed in order. A run of those that only read is made at the same time."""
        while (number := episode.answered) < len(calls):
            allowed = self._allowed(episode, number)
            batch = list(itertools.takewhile(self._tools.only_reads, calls[number : number + allowed]))
            batch = batch or list(calls[number : number + 1])
            made = [asyncio.ensure_future(self._made(call, is_allowed=allowed > 0)) for call in batch]
            since = time.perf_counter()
            try:
                for offset, (call, task) in enumerate(zip(batch, made, strict=True)):
                    outcome = await task
                    # The time that is over: calls at the same time are not paid for twice.
                    now = time.perf_counter()
                    last = is_last and number + offset == len(calls) - 1
                    self._observed(episode, call, outcome, now - since, is_last=last)
                    since = now
            finally:
                for task in made:
                    task.cancel()

    def _allowed(self, episode: Episode, number: int) -> int:
        """How many calls the budget allows, from this one of the turn on."""
        budget = self._config.budget
        return max(0, min(budget.calls_per_turn - number, budget.tool_calls - episode.tool_calls))

    async def _made(self, call: ToolCall, *, is_allowed: bool) -> ToolAnswer:
        if is_allowed:
            return await self._tools.call(call)
        return ToolAnswer("Not carried out: there are too many calls in this turn, or the budget is used up.", True)

    def _observed(
        self, episode: Episode, call: ToolCall, outcome: ToolAnswer, seconds: float, *, is_last: bool
    ) -> None:
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
        report, how = handin.report(reply, self._workspace)
        reason = "; ".join(filter(None, (reply.final, how)))
        if report:
            status: Status = "forced" if reply.final else "done"
            self._emit(episode, Finished(status=status, reason=reason, report=report, seconds=episode.seconds))
        elif reply.final:
            reason = f"no report when the budget was used up ({reply.final})"
            self._emit(episode, Finished(status="failed", reason=reason, seconds=episode.seconds))
        elif episode.answered == 0:
            self._note(
                episode,
                "You said nothing that is a report, and called no tool. Call one, in the form for calls, or write it.",
            )

    async def _compact(self, episode: Episode) -> bool:
        """Put a summary in place of the older turns; whether there was anything to take out."""
        target = self._context() * self._config.context.compact_at / 2
        keep_from = compaction.keep_from(episode, self._config.context.keep_turns, target)
        if keep_from is None:
            return False
        writer = (self._model, self._tools.schemas) if self._config.context.summary == "model" else None
        # Characters: half of what the compaction may leave, at four to a token.
        most = int(target * 2)
        self._emit(episode, await compaction.compacted(episode, keep_from, self._plan(), self._workspace, most, writer))
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
