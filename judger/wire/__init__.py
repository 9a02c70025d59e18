"""Protobuf <-> our types, both ways: the only place of conversion. Works with protobuf 4.25 up to 7.

Reading a request validates it (`judger.validate`): what comes out of `read_*` can be judged.
"""

from judger.wire.as_json import read_json, to_json
from judger.wire.connect import connect_error
from judger.wire.requests import (
    MAX_TAG_BYTES,
    parse,
    read_compare,
    read_group,
    read_request,
    write_compare,
    write_group,
    write_request,
)
from judger.wire.responses import comparison_message, read_comparison, read_response, write_comparison, write_response
from judger.wire.status import DETAILS_TRAILER, code_name, error_from_status, error_status
from judger.wire.text import whole_text

__all__ = [
    "DETAILS_TRAILER",
    "MAX_TAG_BYTES",
    "code_name",
    "comparison_message",
    "connect_error",
    "error_from_status",
    "error_status",
    "parse",
    "read_compare",
    "read_comparison",
    "read_group",
    "read_json",
    "read_request",
    "read_response",
    "to_json",
    "whole_text",
    "write_compare",
    "write_comparison",
    "write_group",
    "write_request",
    "write_response",
]
