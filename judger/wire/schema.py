"""JSON schemas of the contract's messages, as `read_json` takes and `to_json` writes them."""

from __future__ import annotations

from typing import Any

from judger.wire.as_json import is_repeated

__all__ = ["json_schemas"]

_TYPES: dict[str, dict[str, Any]] = {
    "CPPTYPE_STRING": {"type": "string"},
    "CPPTYPE_BOOL": {"type": "boolean"},
    "CPPTYPE_UINT32": {"type": "integer", "minimum": 0},
    "CPPTYPE_DOUBLE": {"type": "number"},
}


def json_schemas(file: Any) -> dict[str, Any]:
    """A schema for each top-level message of a file, by its name."""
    return {
        name: {
            "type": "object",
            "properties": {field.name: _schema(field) for field in message.fields},
            "additionalProperties": False,
        }
        for name, message in file.message_types_by_name.items()
        if message.fields or not message.enum_types
    }


def _schema(field: Any) -> dict[str, Any]:
    one: dict[str, Any] = {"type": "object"}
    if field.message_type is None and field.enum_type is None:
        one = dict(next(schema for name, schema in _TYPES.items() if getattr(field, name) == field.cpp_type))
    elif field.message_type is None:
        one = {"enum": [value.name for value in field.enum_type.values]}
    elif field.message_type.file is field.containing_type.file:
        one = {"$ref": f"#/components/schemas/{field.message_type.name}"}
    return {"type": "array", "items": one} if is_repeated(field) else one
