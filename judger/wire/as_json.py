"""Any of the contract's messages as one line of protobuf-JSON."""

from __future__ import annotations

import inspect
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message

# protobuf 5.26 renamed the option. Both print every field but unset messages, oneof members and optionals.
_WITH_DEFAULTS = next(
    name
    for name in ("always_print_fields_with_no_presence", "including_default_value_fields")
    if name in inspect.signature(json_format.MessageToJson).parameters
)


def to_json(message: Message) -> str:
    """Protobuf-JSON on one line, with the proto's own field names and with defaults."""
    options: dict[str, Any] = {_WITH_DEFAULTS: True}
    return str(json_format.MessageToJson(message, preserving_proto_field_name=True, indent=None, **options))
