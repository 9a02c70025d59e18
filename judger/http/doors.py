"""The doors: parsed JSON in, an answer out, one judge behind all of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from starlette.responses import JSONResponse, Response

from judger import wire
from judger.client.answers import unsent
from judger.errors import InvalidRequest, JudgerError
from judger.http.calls import LAST_WORDS, Call, Judging, within
from judger.http.decisions import read_decision, write_decision
from judger.http.edges import Lines
from judger.http.parts import lines_of
from judger.http.questions import Question, pin_of
from judger.http.rewards import number_of, read_batch, read_reward, write_batch
from judger.http.systemone import read_state, write_answers
from judger.reward import no_spread
from judger.schedule.beside import beside
from judger.types import IN_FLIGHT, Case, Judgement, Lane, Options, Reward
from judger.v1 import judger_pb2 as pb

__all__ = ["Asked", "Door", "Doors"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request behind the edge."""

    call: Call
    values: object
    """Parsed JSON."""
    size: int = 0
    """Bytes that it was."""
    lane: str | None = None
    """Of the header Judger-Lane: for the formats that have no place for it."""
    wants_lines: bool = False

    async def read(self, work: Callable[..., T], *arguments: Any) -> T:
        """What `work` makes of the values; a large request is read beside the event loop."""
        async with within(self.call):
            return await beside(self.size, work, self.values, *arguments)


Door = Callable[[Asked], Awaitable[Response]]


class Doors:
    """One method a door. All raise JudgerError.

    Args:
        unscored: what a bare-number door answers where there is no reward; None: an error.
        reasoning: keep the thoughts of a completion.
    """

    def __init__(self, judging: Judging, *, unscored: float | None = None, reasoning: bool = False) -> None:
        self.judging = judging
        self.unscored = unscored
        self.reasoning = reasoning

    async def judge(self, asked: Asked) -> Response:
        """The response, or with lines wanted each verdict as it is there."""
        request = await asked.read(wire.read_json, pb.JudgeRequest)
        if asked.wants_lines:
            lines = lines_of(request, lambda part: self.judging.judge(part, asked.call))
            return await _streamed(lines, asked.call)
        return _message(await self.judging.judge(request, asked.call))

    async def compare(self, asked: Asked) -> Response:
        request = await asked.read(wire.read_json, pb.CompareRequest)
        return _message(await self.judging.compare(request, asked.call))

    async def get_judge(self, asked: Asked) -> Response:
        request = await asked.read(wire.read_json, pb.GetJudgeRequest)
        return _message(await self.judging.get_judge(request, asked.call))

    async def judge_group(self, asked: Asked) -> Response:
        """All responses in the order of the reports, or in lines as each is there."""
        request = await asked.read(wire.read_json, pb.JudgeGroupRequest)
        responses = self.judging.judge_group(request, asked.call)
        if asked.wants_lines:
            return await _streamed(_lines(responses), asked.call)
        found: list[pb.JudgeResponse] = []
        async with aclosing(responses), within(asked.call, LAST_WORDS):
            async for response in responses:
                found.append(response)
        found.sort(key=lambda response: response.index)
        more = f', "warnings": {json.dumps(told)}' if (told := _warnings(_rewards(found))) else ""
        return Response(
            f'{{"responses": [{", ".join(map(wire.to_json, found))}]{more}}}', media_type="application/json"
        )

    async def decisions(self, asked: Asked) -> Response:
        return await self._questions(asked, read_decision, write_decision)

    async def system_one(self, asked: Asked) -> Response:
        return await self._questions(asked, read_state, write_answers)

    async def rewards(self, asked: Asked) -> Response:
        """OpenRLHF's."""
        cases = await asked.read(partial(read_batch, reasoning=self.reasoning))
        options = _options(asked)
        permits = asyncio.Semaphore(IN_FLIGHT)

        async def one(case: Case) -> Judgement:
            async with permits:
                return await self._judge_report(case, options, asked.call)

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(case)) for case in cases]
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return JSONResponse(write_batch([task.result() for task in tasks], self.unscored))

    async def reward(self, asked: Asked) -> Response:
        """slime's: a bare number."""
        case = await asked.read(partial(read_reward, reasoning=self.reasoning))
        judgement = await self._judge_report(case, _options(asked), asked.call)
        return JSONResponse(number_of(judgement, self.unscored))

    async def _questions(
        self,
        asked: Asked,
        read: Callable[[object], tuple[Case, list[Question], str | None]],
        write: Callable[[Judgement, list[Question]], dict[str, Any]],
    ) -> Response:
        case, questions, model = await asked.read(read)
        return JSONResponse(write(await self._judge(case, _options(asked), asked.call, pin_of(model)), questions))

    async def _judge_report(self, case: Case, options: Options, call: Call) -> Judgement:
        """A blank one is unscored, and no judge is asked."""
        return unsent(case, None, options.mapping, "") or await self._judge(case, options, call)

    async def _judge(self, case: Case, options: Options, call: Call, pin: str = "") -> Judgement:
        return wire.read_response(await self.judging.judge(wire.write_request(case, options, pin), call))


def _options(asked: Asked) -> Options:
    if asked.lane is None:
        return Options()
    try:
        return Options(lane=Lane(asked.lane.lower()))
    except ValueError:
        raise InvalidRequest("judger-lane", f"must be one of {', '.join(Lane)}") from None


def _message(message: Any) -> Response:
    return Response(wire.to_json(message), media_type="application/json")


def _rewards(responses: Iterable[pb.JudgeResponse]) -> list[Reward]:
    """Of the reports that were judged: one that was refused has none."""
    return [wire.read_response(response).reward for response in responses if response.HasField("reward")]


def _warnings(rewards: Sequence[Reward]) -> list[str]:
    """What is said of a group, in whatever form its answer has."""
    told = no_spread([reward.value for reward in rewards], rewards[0].mapping) if rewards else None
    return [told] if told else []


async def _streamed(lines: AsyncGenerator[str, None], call: Call) -> Response:
    """The lines, once there is a first one: what is refused as a whole still gets its status code."""
    try:
        async with within(call, LAST_WORDS):
            first = await anext(lines)
    except BaseException:
        await lines.aclose()
        raise
    return Lines(_after(first, lines), call)


async def _after(first: str, others: AsyncGenerator[str, None]) -> AsyncGenerator[str, None]:
    async with aclosing(others):
        yield first
        async for line in others:
            yield line


async def _lines(responses: AsyncGenerator[pb.JudgeResponse, None]) -> AsyncGenerator[str, None]:
    """A line each. The last one is `{"warnings": [...]}` where there are any, or `{"error": ...}` where the group ended
    before its time.
    """
    is_first = True
    rewards: list[Reward] = []
    try:
        async with aclosing(responses):
            async for response in responses:
                rewards += _rewards([response])
                yield wire.to_json(response) + "\n"
                is_first = False
        if told := _warnings(rewards):
            yield json.dumps({"warnings": told}) + "\n"
    except JudgerError as error:
        if is_first:
            raise
        yield json.dumps({"error": wire.connect_error(error)}) + "\n"
