"""Our errors as the Connect protocol writes them (https://connectrpc.com/docs/protocol#error-end-stream)."""

from __future__ import annotations

import base64
from typing import Any

from google.protobuf import json_format
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import error_details_pb2

from judger.errors import JudgerError
from judger.wire.status import code_name, error_status

__all__ = ["connect_error"]

_DETAILS = {kind.DESCRIPTOR.full_name: kind for kind in (error_details_pb2.BadRequest, error_details_pb2.RetryInfo)}


def connect_error(error: JudgerError) -> dict[str, Any]:
    """`code` in lower case, `message`, and the google.rpc details: in base64, and to read under `debug`."""
    status = error_status(error)
    written: dict[str, Any] = {"code": code_name(error).lower(), "message": status.message}
    if status.details:
        written["details"] = [_detail(packed) for packed in status.details]
    return written


def _detail(packed: AnyMessage) -> dict[str, Any]:
    name = packed.TypeName()
    written: dict[str, Any] = {"type": name, "value": base64.b64encode(packed.value).decode().rstrip("=")}
    if kind := _DETAILS.get(name):
        message = kind.FromString(packed.value)
        written["debug"] = json_format.MessageToDict(message, preserving_proto_field_name=True)
    return written
