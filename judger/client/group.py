"""One group of reports, whatever becomes of its stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

from judger.client.calls import stream
from judger.client.channel import Link
from judger.client.retry import Attempts
from judger.errors import EngineError, JudgerError, Unavailable
from judger.v1 import judger_pb2 as pb


async def group(
    link: Link,
    request: pb.JudgeGroupRequest,
    attempts: Attempts,
    start: Callable[[pb.JudgeGroupRequest, Attempts], Callable[[], Any]],
) -> AsyncGenerator[pb.JudgeResponse, None]:
    """One response per report, as they come. After a break only the reports without an answer are sent again."""
    missing = list(range(len(request.reports)))
    while True:
        sent, left = list(missing), request
        if len(sent) < len(request.reports):
            left = pb.JudgeGroupRequest()
            left.CopyFrom(request)
            left.reports[:] = [request.reports[index] for index in sent]
        try:
            async with aclosing(stream(link, start(left, attempts), len(sent) + 1)) as answers:
                async for response in answers:
                    if response.index >= len(sent) or sent[response.index] not in missing:
                        raise EngineError(f"the server answered report {response.index}, which was not asked for")
                    response.index = sent[response.index]
                    missing.remove(response.index)
                    yield response
            if missing:
                raise Unavailable(f"{link.settings.address} left {len(missing)} reports of the group unanswered")
            return
        except JudgerError as error:
            if sent and not missing:
                return  # all is answered: how the stream then ended does not matter
            await asyncio.sleep(attempts.pause(error))
