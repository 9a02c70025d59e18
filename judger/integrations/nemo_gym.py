"""NeMo Gym: a resources server whose `/verify` is `resources_server("localhost:50051")`, run by its `run_webserver()`.

The rubric is a field of the row beside `responses_create_params`. The trap: a JudgeError becomes reward 0.0 with a
failure class, which NeMo Gym's own collection sets aside, and which NeMo-RL never reads: it trains on the 0. So what
has no reward raises Unjudged, an HTTP 500 that ends the rollout; `failure_class=True` raises JudgeError instead, for
collections and evaluations by NeMo Gym itself.
"""

from __future__ import annotations

from typing import Any

from nemo_gym.base_resources_server import BaseVerifyRequest, BaseVerifyResponse, SimpleResourcesServer
from nemo_gym.judge import JudgeError
from pydantic import ConfigDict

from judger.integrations._common import Grader, Unjudged

__all__ = ["VerifyRequest", "VerifyResponse", "resources_server"]


class VerifyRequest(BaseVerifyRequest):  # type: ignore[misc]
    """A rollout to be judged; other fields of the row are handed back."""

    model_config = ConfigDict(extra="allow")
    rubric: Any


class VerifyResponse(BaseVerifyResponse):  # type: ignore[misc]
    """It with its reward."""

    model_config = ConfigDict(extra="allow")


def resources_server(address: str, *, failure_class: bool = False, **settings: Any) -> type:
    """A resources server's class; `settings` are those of `Grader`."""
    grader = Grader(address=address, **settings)

    class ChecklistResourcesServer(SimpleResourcesServer):  # type: ignore[misc]
        async def verify(self, body: VerifyRequest) -> VerifyResponse:
            asked = body.responses_create_params.input
            prompt = asked if isinstance(asked, str) else [_plain(message) for message in asked]
            graded = await grader.grade(prompt, body.response.output_text, body.rubric)
            if graded.value is None:
                raise (JudgeError if failure_class else Unjudged)(graded.why)
            return VerifyResponse(**body.model_dump(), reward=graded.value)

    # FastAPI reads annotations by name, and these names are this module's.
    ChecklistResourcesServer.verify.__annotations__ = {"body": VerifyRequest, "return": VerifyResponse}
    return ChecklistResourcesServer


def _plain(message: Any) -> dict[str, Any]:
    """A message of the Responses API as a chat message; reasoning and calls have no text."""
    fields = message if isinstance(message, dict) else message.model_dump()
    return {"role": fields.get("role", "tool"), "content": fields.get("content")}
