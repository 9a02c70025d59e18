"""What /openapi.json says: the doors, their messages from the contract's descriptors, the others' from their models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from judger.http.decisions import DecisionRequest
from judger.http.doors import Door
from judger.http.rewards import RewardBatch, RewardRequest
from judger.http.systemone import SystemOneRequest
from judger.v1 import judger_pb2 as pb
from judger.version import __version__
from judger.wire.schema import json_schemas

__all__ = ["openapi"]

MODELS = (DecisionRequest, SystemOneRequest, RewardBatch, RewardRequest)
RUBRIC_KEYS = "a rubric: JSON text, a list of criteria, or an object with `criteria`"

#: Path -> (what it does, the request's schema, the response's; None: described by the protocol's own documentation).
SAYS: dict[str, tuple[str, str, str | None]] = {
    "/v1/judge": (
        "One report; with `Accept: application/x-ndjson` lines of `verdicts` as they come, then the JudgeResponse.",
        "JudgeRequest",
        "JudgeResponse",
    ),
    "/v1/judge-group": (
        "One query and rubric, several reports: {responses: [...]} in their order, and `warnings` where all "
        "rewards are one; with `Accept: application/x-ndjson` "
        "a JudgeResponse a line, as each ends, then such `warnings`.",
        "JudgeGroupRequest",
        None,
    ),
    "/v1/compare": ("Two reports.", "CompareRequest", "CompareResponse"),
    "/v1/decisions": ("OpenAI's Decisions API: predicates, and scores of three levels.", "DecisionRequest", None),
    "/v1/systemone": ("System One: nouls, and scores of three levels.", "SystemOneRequest", None),
    "/get_reward": (f"OpenRLHF's remote reward. A label is {RUBRIC_KEYS}.", "RewardBatch", None),
    "/reward": (f"slime's remote_rm: a bare number. The label is {RUBRIC_KEYS}.", "RewardRequest", None),
    "/judger.v1.Judger/Judge": ("Connect's path of Judge.", "JudgeRequest", "JudgeResponse"),
    "/judger.v1.Judger/Compare": ("Connect's path of Compare.", "CompareRequest", "CompareResponse"),
    "/judger.v1.Judger/GetJudge": ("Who judges, under which limits.", "GetJudgeRequest", "JudgeInfo"),
}
ERROR = {
    "type": "object",
    "required": ["code", "message"],
    "properties": {
        "code": {"type": "string"},
        "message": {"type": "string"},
        "details": {"type": "array", "items": {"type": "object"}},
    },
}


def openapi(doors: Mapping[str, Door]) -> dict[str, Any]:
    """The document, OpenAPI 3.1."""
    schemas: dict[str, Any] = {"Error": ERROR} | json_schemas(pb.DESCRIPTOR)
    for model in MODELS:
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= schema.pop("$defs", {})
        schemas[model.__name__] = schema
    paths: dict[str, Any] = {path: {"post": _operation(*SAYS[path])} for path in doors}
    for path, says in (("/healthz", "This process is alive."), ("/readyz", "The judge serves: 200, else 503.")):
        paths[path] = {"get": {"summary": says, "security": [], "responses": {"200": {"description": "Yes."}}}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "judger", "version": __version__, "summary": "Which items of a checklist a report satisfies"},
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
        "security": [{"bearer": []}, {}],
    }


def _operation(says: str, request: str, response: str | None) -> dict[str, Any]:
    good: dict[str, Any] = {"description": "Judged."}
    if response is not None:
        good["content"] = _json(response)
    return {
        "summary": says,
        "requestBody": {"required": True, "content": _json(request)},
        "responses": {"200": good, "default": {"description": "Refused or failed.", "content": _json("Error")}},
    }


def _json(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
