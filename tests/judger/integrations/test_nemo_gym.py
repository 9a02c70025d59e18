"""NeMo Gym's door against stand-ins for its classes: it is on no package index and wants Python 3.13.

The stand-ins have the fields and the failsafe of `nemo_gym/base_resources_server.py` and `nemo_gym/judge.py` of August
2026, and nothing of its servers.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel

from judger.integrations._common import Unjudged


class JudgeError(Exception):
    pass


class Create(BaseModel):
    input: str | list[dict[str, Any]]


class Response(BaseModel):
    output_text: str


class BaseVerifyRequest(BaseModel):
    responses_create_params: Create
    response: Response


class BaseVerifyResponse(BaseVerifyRequest):
    reward: float


class SimpleResourcesServer:
    pass


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    base, judge = ModuleType("nemo_gym.base_resources_server"), ModuleType("nemo_gym.judge")
    for one in (BaseVerifyRequest, BaseVerifyResponse, SimpleResourcesServer):
        setattr(base, one.__name__, one)
    judge.JudgeError = JudgeError  # type: ignore[attr-defined]
    for module in (ModuleType("nemo_gym"), base, judge):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.delitem(sys.modules, "judger.integrations.nemo_gym", raising=False)
    from judger.integrations import nemo_gym

    yield nemo_gym
    sys.modules.pop("judger.integrations.nemo_gym", None)


def asked(door: Any, text: str, rubric: Any) -> Any:
    messages = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "fruit?"}]
    row = {"responses_create_params": {"input": messages}, "response": {"output_text": text}, "id": 7}
    return door.VerifyRequest.model_validate(row | {"rubric": rubric})


async def test_a_report_gets_its_reward_and_the_rows_fields_are_handed_back(address: str, door: Any) -> None:
    server = door.resources_server(address)()
    answer = await server.verify(asked(door, "<think>pear</think>an apple", ["apple", "pear"]))
    assert (answer.reward, answer.id) == (0.5, 7)


async def test_no_reward_is_an_error_and_the_failure_class_only_where_it_was_asked_for(address: str, door: Any) -> None:
    for text, rubric in (("an apple", ["[[unscored=too_long]]"]), ("", ["apple"])):
        with pytest.raises(Unjudged):
            await door.resources_server(address)().verify(asked(door, text, rubric))
        with pytest.raises(JudgeError):
            await door.resources_server(address, failure_class=True)().verify(asked(door, text, rubric))


def test_its_own_server_reads_the_body_by_our_annotation(address: str, door: Any) -> None:
    verify = door.resources_server(address).verify
    assert SimpleNamespace(**verify.__annotations__).body is door.VerifyRequest
