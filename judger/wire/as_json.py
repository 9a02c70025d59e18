"""Any of the contract's messages as one line of protobuf-JSON, and back again."""

from __future__ import annotations

import inspect
import re
from typing import Any, TypeVar

from google.protobuf import json_format
from google.protobuf.message import Message

from judger.errors import InvalidRequest
from judger.types import LIMITS
from judger.validate import count_fault, text_fault

M = TypeVar("M", bound=Message)

# protobuf 5.26 renamed the option. Both print every field but unset messages, oneof members and optionals.
_WITH_DEFAULTS = next(
    name
    for name in ("always_print_fields_with_no_presence", "including_default_value_fields")
    if name in inspect.signature(json_format.MessageToJson).parameters
)
_NO_LIMIT = 2**62
MOST = {"criteria": LIMITS.criteria, "reports": LIMITS.group_reports}
"""Of lists in requests: what is refused behind takes seconds to be read here."""
PLAIN = re.compile(r"\w{1,40}", re.ASCII)
_WANTED = {
    "CPPTYPE_STRING": "a text",
    "CPPTYPE_BOOL": "true or false",
    "CPPTYPE_UINT32": "a whole number from 0 to 4294967295",
    "CPPTYPE_DOUBLE": "a number",
}


def to_json(message: Message) -> str:
    """Protobuf-JSON on one line, with the proto's own field names and with defaults."""
    options: dict[str, Any] = {_WITH_DEFAULTS: True}
    return str(json_format.MessageToJson(message, preserving_proto_field_name=True, indent=None, **options))


def read_json(values: object, kind: type[M]) -> M:
    """A message from a parsed JSON object, as the protobuf-JSON mapping has it; enums also in lower case.

    Field names count in both spellings (`request_id`, `requestId`); null is "left out". Raises InvalidRequest with the
    path of a field that isn't there, is given twice or has a wrong type. What the values mean is not looked at here.
    """
    message = kind()
    _fill(message, values, "")
    return message


def _fill(message: Any, values: object, path: str) -> None:
    if not isinstance(values, dict):
        raise InvalidRequest(path or "body", f"must be an object, not {json_kind(values)}")
    descriptor = message.DESCRIPTOR
    fields = {name: field for field in descriptor.fields for name in (field.name, field.json_name)}
    seen: set[str] = set()
    for key, value in values.items():
        field = fields.get(key)
        if field is None:
            raise InvalidRequest(_joined(path, _shown(key)), f"is no field of {descriptor.name}")
        where = _joined(path, key)
        if field.name in seen:
            raise InvalidRequest(where, "is given twice, in both spellings")
        seen.add(field.name)
        if value is None:
            continue
        if not is_repeated(field) and field.message_type is not None:
            getattr(message, field.name).SetInParent()
            _fill(getattr(message, field.name), value, where)
            continue
        if not is_repeated(field):
            _set(message, field, value, where)
            continue
        if not isinstance(value, list):
            raise InvalidRequest(where, f"must be a list, not {json_kind(value)}")
        if len(value) > MOST.get(field.name, _NO_LIMIT) and (fault := count_fault(len(value), MOST[field.name])):
            raise InvalidRequest(where, fault)
        for i, item in enumerate(value):
            if field.message_type is not None:
                _fill(getattr(message, field.name).add(), item, f"{where}[{i}]")
            else:
                _set(message, field, item, f"{where}[{i}]")


def _set(message: Any, field: Any, value: object, where: str) -> None:
    """One value that is no message."""
    wanted = _wanted(field)
    refused = InvalidRequest(where, f"must be {wanted}, not {_shown(value)}")
    if wanted == _WANTED["CPPTYPE_STRING"]:
        if not isinstance(value, str):
            raise refused
        if fault := text_fault(value, _NO_LIMIT, may_be_blank=True):
            raise InvalidRequest(where, fault)
        if is_repeated(field):
            getattr(message, field.name).append(value)
        else:
            setattr(message, field.name, value)
        return
    # json_format takes a boolean for a number, and cuts a number to that of an enum.
    if isinstance(value, bool) != (wanted == _WANTED["CPPTYPE_BOOL"]):
        raise refused
    if field.enum_type is not None:
        if isinstance(value, float):
            raise refused
        value = value.upper() if isinstance(value, str) else value
    try:
        json_format.ParseDict({field.name: value}, message)
    except (json_format.ParseError, OverflowError):
        raise refused from None


def _wanted(field: Any) -> str:
    if field.enum_type is not None:
        return f"one of {', '.join(value.name.lower() for value in field.enum_type.values if value.number)}"
    return next(text for name, text in _WANTED.items() if getattr(field, name) == field.cpp_type)


def is_repeated(field: Any) -> bool:
    """Whether a field is a list. protobuf 7 has no `label` any more, protobuf 4 nothing else."""
    known = getattr(field, "is_repeated", None)
    return bool(field.label == field.LABEL_REPEATED if known is None else known)


def json_kind(value: object) -> str:
    """What JSON calls the type of a value."""
    match value:
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list():
            return "a list"
        case dict():
            return "an object"
        case _:
            return "null"


def _joined(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _shown(value: object, width: int = 60) -> str:
    """A value from outside in a message: quoted, short, and encodable whatever it holds."""
    if isinstance(value, (list, dict)):
        return json_kind(value)
    if isinstance(value, str) and PLAIN.fullmatch(value):
        return value
    text = repr(value)
    text = text if len(text) <= width else text[: width - 3] + "..."
    return text.encode("utf-8", "backslashreplace").decode()
