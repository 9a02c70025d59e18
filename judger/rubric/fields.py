"""Typed access to one JSON object of a file: what is missing or of a wrong type becomes a fault with line and field."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import TypeGuard, TypeVar

from judger.rubric.place import Place, shown
from judger.rubric.strict_json import REFUSED
from judger.validate import misspelt, misspelt_reason

NAMES: dict[type, str] = {
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "an object",
    type(None): "null",
}

Kind = TypeVar("Kind")
Menu = TypeVar("Menu", bound=enum.StrEnum)


def type_name(value: object) -> str:
    """What JSON calls the type of a value."""
    return NAMES.get(type(value), "something else")


def is_object(value: object, place: Place) -> TypeGuard[dict[str, object]]:
    """Whether a value is an object; a fault if not."""
    if not isinstance(value, dict):
        if value is not REFUSED:
            place.fault(f"must be an object, not {type_name(value)}")
        return False
    return True


class Fields:
    """The members of one object. Every method gives None (or the stand-in) after a fault."""

    def __init__(self, values: dict[str, object], place: Place) -> None:
        self.values = values
        self.place = place

    def text(self, key: str, *, required: bool = False) -> str | None:
        """A string; None where it is missing or wrong."""
        return self._of_type(key, str, "a string", required=required)

    def items(self, key: str, *, required: bool = True) -> list[object] | None:
        """A list; None where it is missing or wrong."""
        return self._of_type(key, list, "a list", required=required)

    def flag(self, key: str) -> bool | None:
        return self._of_type(key, bool, "a boolean")

    def number(self, key: str) -> float | None:
        """A number, finite or not: the rules for a case judge that."""
        value = self.values.get(key)
        if isinstance(value, int) and not isinstance(value, bool):
            try:
                return float(value)
            except OverflowError:
                self.place.fault("is too large a number", key)
                return None
        return self._of_type(key, float, "a number")

    def choice(self, key: str, menu: type[Menu]) -> Menu | None:
        """A word on the menu, in small letters or in the capitals that protobuf-JSON has (`FULLY_SATISFIED`)."""
        value = self.text(key)
        if value is None:
            return None
        try:
            return menu(value.lower())
        except ValueError:
            self.place.fault(f"must be one of {', '.join(menu)}, not {shown(value)}", key)
            return None

    def check_spelling(self, names: Iterable[str]) -> None:
        """A fault for each key that looks like one of these names, where the name itself is missing."""
        for key, name in misspelt(self.values, names):
            self.place.fault(misspelt_reason(name), key)

    def _of_type(self, key: str, kind: type[Kind], name: str, *, required: bool = False) -> Kind | None:
        if key not in self.values:
            if required:
                self.place.fault("is missing", key)
            return None
        value = self.values[key]
        # Not isinstance: a boolean is an int to Python, and not to anyone else.
        if type(value) is kind:
            return value
        if value is not REFUSED:
            self.place.fault(f"must be {name}, not {type_name(value)}", key)
        return None
