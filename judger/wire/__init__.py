"""Protobuf <-> our types, both ways: the only place of conversion. Works with protobuf 4.25 up to 7.

Reading a request validates it (`judger.validate`): what comes out of `read_*` can be judged.
"""

from judger.wire.as_json import to_json
from judger.wire.requests import (
    MAX_TAG_BYTES,
    read_compare,
    read_group,
    read_request,
    write_compare,
    write_group,
    write_request,
)
from judger.wire.responses import read_response, write_comparison, write_response
from judger.wire.status import DETAILS_TRAILER, code_name, error_from_status, error_status

__all__ = [
    "DETAILS_TRAILER",
    "MAX_TAG_BYTES",
    "code_name",
    "error_from_status",
    "error_status",
    "read_compare",
    "read_group",
    "read_request",
    "read_response",
    "to_json",
    "write_compare",
    "write_comparison",
    "write_group",
    "write_request",
    "write_response",
]
