"""What a caller's values are: numbers of any library, and a typed error for what is none of what is wanted."""

from __future__ import annotations

import numbers
from typing import Any

from judger.errors import InvalidRequest


def plain(value: Any) -> Any:
    """Python's own number, boolean or text for a scalar of numpy, torch or the like; anything else as it is."""
    if type(value) in (str, int, float, bool, type(None)):
        return value
    if getattr(value, "ndim", None) == 0 and callable(getattr(value, "item", None)):
        return value.item()
    if isinstance(value, numbers.Real) and not isinstance(value, int | float):
        return float(value)
    return value


def expect(field: str, value: object, kind: type | tuple[type, ...], what: str) -> None:
    """Raises InvalidRequest where a value is of another type."""
    # True is an int to Python, but no weight.
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise InvalidRequest(field, f"must be {what}, not {type(value).__name__}")
