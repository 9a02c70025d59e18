"""What a caller hands over instead of our types: a rubric in any shape, numbers of any library, names of enums.

One reader for the client, the HTTP gateway and the trainers' integrations. Wrong types become InvalidRequest here, with
the field; wrong values are for `judger.validate`.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import numbers
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from judger.errors import InvalidRequest
from judger.types import Case, Criterion, Label, Role
from judger.validate import CRITERION_KEYS, criteria_faults, full_text, misspelt, misspelt_reason, role_and_weight

CriterionLike = Criterion | Mapping[str, object] | str
"""A Criterion, a dict with the keys of a case file (others are carried along unread), or the text alone."""

RubricLike = Iterable[CriterionLike] | Mapping[str, object] | str
"""Criteria; or a dict that has them under `criteria`, `rubrics` or `rubric`; or any of these as JSON text."""

LISTS = ("criteria", "rubrics", "rubric")
"""The keys under which an object has its criteria."""
NESTED = 16
"""Objects and texts, one within the other, down to the list."""
E = TypeVar("E", bound=enum.StrEnum)


class _Twice:
    """Stands for the value of a key that JSON text gives twice: which one is meant nobody knows."""


def criteria_of(given: object, field: str = "rubric") -> tuple[Criterion, ...]:
    """The criteria of a rubric, checked as a server checks them. Raises InvalidRequest for its first fault.

    Args:
        given: as `make_criteria` takes it.
        field: its name, for the path in an error.
    """
    criteria, path = _read(given, field)
    if not criteria:
        raise InvalidRequest(path, "is empty: there is nothing to judge")
    for place, reason in criteria_faults(criteria):
        raise InvalidRequest(path + place.removeprefix("criteria"), reason)
    return criteria


def make_criteria(criteria: RubricLike) -> tuple[Criterion, ...]:
    """The rubric; ids default to c1, c2, ... by position. Raises InvalidRequest for a wrong type.

    An object has our keys (`text`, `weight`), ResearchRubrics' (`criterion`, `weight`) or HealthBench's (`criterion`,
    `points`); in the last two a zero weight drops the criterion. JSON text may be any of it, also within an object.
    """
    return _read(criteria, "criteria")[0]


def _read(given: Any, field: str) -> tuple[tuple[Criterion, ...], str]:
    """The criteria, and the path of their list."""
    for _ in range(NESTED):
        if not isinstance(given, str | Mapping):
            break
        if isinstance(given, str):
            given = _parsed(given, field)
            continue
        key = next((key for key in LISTS if given.get(key) is not None), None)
        if key is None:
            raise InvalidRequest(field, f"must be a list of criteria, or an object with one under {' or '.join(LISTS)}")
        given, field = given[key], f"{field}.{key}" if field != key else field
    else:
        raise InvalidRequest(field, "is nested too deeply: a rubric is a list of criteria, or an object with one")
    if isinstance(given, _Twice):
        raise InvalidRequest(field, "is given twice")
    if isinstance(given, tuple) and all(map(_is_exact, given)):
        return given, field
    made = [_criterion(f"{field}[{i}]", i, one) for i, one in enumerate(members(field, given, "criteria"))]
    return tuple(criterion for criterion in made if criterion is not None), field


def _parsed(text: str, field: str) -> object:
    try:
        given = json.loads(text, object_pairs_hook=_object)
    except (ValueError, RecursionError):
        reason = "is not JSON: a rubric is a list of criteria, an object with one, or JSON text of either"
        raise InvalidRequest(field, reason) from None
    if not isinstance(given, list | dict):
        raise InvalidRequest(field, "must be a list of criteria, or one as JSON, not one of them")
    return given


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        found[key] = _Twice() if key in found else value
    return found


def members(field: str, given: Any, what: str) -> Iterator[Any]:
    """The members of a list, an array or any other iterable. Raises InvalidRequest where it is none."""
    if isinstance(given, str | bytes | Mapping | Case):
        raise InvalidRequest(field, f"must be a list of {what}, not one of them")
    try:
        return iter(given)
    except TypeError:
        raise InvalidRequest(field, f"must be a list of {what}, not {type(given).__name__}") from None


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


def member(field: str, name: str, kind: type[E]) -> E:
    """The member of an enum by its name. Raises InvalidRequest."""
    try:
        return kind(name.lower())
    except ValueError:
        raise InvalidRequest(field, f"{name!a} is not one of {', '.join(kind)}") from None


def _is_exact(given: object) -> bool:
    """A Criterion whose values have the types that it declares: nothing needs to be made of it."""
    if type(given) is not Criterion:
        return False
    texts = (given.id, given.text, given.axis)
    kinds = (type(given.role), type(given.weight), type(given.fatal))
    return all(type(text) is str for text in texts) and kinds == (Role, float, bool) and bool(given.id)


def _criterion(path: str, i: int, given: CriterionLike) -> Criterion | None:
    """None for one that weighs nothing in the data of others, who drop it."""
    if isinstance(given, Criterion):
        values: Any = {one.name: getattr(given, one.name) for one in dataclasses.fields(Criterion)}
    else:
        values = {"text": given} if isinstance(given, str) else given
        expect(path, values, Mapping, "a Criterion, a dict or a text")
        for key, found in values.items():
            if isinstance(found, _Twice):
                raise InvalidRequest(f"{path}.{ascii(key)[1:-1]}", "is given twice")
        for key, name in misspelt(values, CRITERION_KEYS):
            if not (name == "text" and "criterion" in values) and not (name == "weight" and "points" in values):
                raise InvalidRequest(f"{path}.{ascii(key)[1:-1]}", misspelt_reason(name))

    def value(key: str, kind: type | tuple[type, ...], what: str) -> Any:
        found = plain(values.get(key))  # None is what a table has in an empty cell
        if found is not None:
            expect(f"{path}.{key}", found, kind, what)
        return found

    def number(key: str) -> float | None:
        found = value(key, (float, int), "a number")
        try:
            return None if found is None else float(found)
        except OverflowError:
            raise InvalidRequest(f"{path}.{key}", "is too large a number") from None

    role, label = value("role", str, "a text"), value("label", str, "a text")
    weight = number("weight")
    final_role, final_weight = role_and_weight(
        None if role is None else member(f"{path}.role", role, Role), number("points") if weight is None else weight
    )
    if final_weight == 0 and "criterion" in values and "text" not in values:
        return None
    final_label = None if label is None else member(f"{path}.label", label, Label)
    text = value("text", str, "a text") or value("criterion", str, "a text") or ""
    return Criterion(
        id=value("id", str, "a text") or f"c{i + 1}",
        text=full_text(text, values, final_label),
        weight=final_weight,
        role=final_role,
        axis=value("axis", str, "a text") or "",
        fatal=value("fatal", bool, "true or false") or False,
        label=final_label,
    )
