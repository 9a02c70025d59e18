"""A case through HTTP and through gRPC gives equal verdicts, whatever the case."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st

from judger.client import connect
from judger.client.settings import Settings
from judger.config import ServeConfig
from judger.engines.scripted import ScriptedEngine
from judger.errors import JudgerError
from judger.http.app import build_app
from judger.http.calls import OnServer
from judger.http.process import listen
from judger.server.process import running
from judger.types import Case, Criterion, Explain, Lane, Mapping, Options
from judger.v1 import judger_pb2 as pb
from judger.validate import role_and_weight
from judger.wire import code_name, to_json, write_request

Asking = Callable[[pb.JudgeRequest], Coroutine[Any, Any, list[str]]]


@pytest.fixture(scope="module")
def asked() -> Iterator[Callable[[pb.JudgeRequest], list[str]]]:
    """Asks by gRPC, by the server's own doors and by a gateway's; what each answered, without the times."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()

        async def start() -> Asking:
            # Without a cache: each way is judged for itself.
            config = ServeConfig(engine="scripted", port=0, http_port=0, grace=1.0, cache_memory_mb=0)
            server = await stack.enter_async_context(running(config, ScriptedEngine()))
            client = await stack.enter_async_context(connect(server.address, max_attempts=1))
            judging = OnServer(Settings(address=server.address))
            doors = listen(build_app(judging), "127.0.0.1", 0)
            stack.push_async_callback(doors.stop, 1.0)
            stack.callback(judging.close)
            http = await stack.enter_async_context(httpx.AsyncClient(timeout=60))
            addresses = (server.http_address, doors.address)

            async def ask(request: pb.JudgeRequest) -> list[str]:
                try:
                    answers = [compared(await client.judge_raw(request))]
                except JudgerError as error:
                    answers = [code_name(error).lower()]
                for address in addresses:
                    headers = {"content-type": "application/json"}
                    answer = await http.post(f"http://{address}/v1/judge", content=to_json(request), headers=headers)
                    if answer.status_code != 200:
                        answers.append(answer.json()["code"])
                        continue
                    answers.append(compared(json_format.Parse(answer.text, pb.JudgeResponse())))
                return answers

            return ask

        ask = runner.run(start())
        yield lambda request: runner.run(ask(request))
        runner.run(stack.aclose())


def compared(response: pb.JudgeResponse) -> str:
    """All that does not hang on when it was asked."""
    response.ClearField("usage")
    return str(json_format.MessageToJson(response))


TEXTS = st.one_of(
    st.text(min_size=1, max_size=40).filter(lambda text: "[[" not in text),
    st.sampled_from(["[[fully]]", "[[partially]]", "[[not]]", "[[p=0.2,0.3,0.5]]", "[[unscored=too_long]]"]),
)


@st.composite
def requests(draw: st.DrawFn) -> pb.JudgeRequest:
    weights = draw(st.lists(st.floats(-1e6, 1e6).filter(lambda w: abs(w) > 1e-6), min_size=1, max_size=6))
    criteria = []
    for i, weight in enumerate(weights):
        role, weight = role_and_weight(None, weight)
        fatal = weight < 0 and draw(st.booleans())
        criteria.append(Criterion(id=f"c{i}", text=draw(TEXTS), weight=weight, role=role, fatal=fatal))
    # A blank report or criterion and an explanation are refused: the same way, too.
    case = Case(id="r", query=draw(st.text(max_size=20)), report=draw(st.text(max_size=60)), criteria=tuple(criteria))
    options = Options(
        mapping=draw(st.sampled_from(Mapping)),
        lane=draw(st.sampled_from(Lane)),
        allow_unscored=draw(st.booleans()),
        explain=draw(st.sampled_from([Explain.NEVER, Explain.NEVER, Explain.NEVER, Explain.ALWAYS])),
    )
    return write_request(case, options)


@settings(max_examples=40, deadline=None)
@given(request=requests())
def test_every_way_to_the_judge_gives_the_same_answer(
    asked: Callable[[pb.JudgeRequest], list[str]], request: pb.JudgeRequest
) -> None:
    grpc, in_process, gateway = asked(request)
    assert in_process == grpc
    assert gateway == grpc
