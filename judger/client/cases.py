"""Cases out of what a caller has at hand: criteria as objects, dicts or strings; options as keywords."""

from __future__ import annotations

import dataclasses
import enum
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from judger.errors import InvalidRequest
from judger.types import Case, Criterion, Explain, Label, Lane, Options, Role
from judger.types import Mapping as RewardMapping
from judger.validate import check_options, role_and_weight

CriterionLike = Criterion | Mapping[str, object] | str
"""A Criterion, a dict with the keys of a case file (others are carried along unread), or the text alone."""

E = TypeVar("E", bound=enum.StrEnum)
_ENUMS: dict[str, type[enum.StrEnum]] = {"mapping": RewardMapping, "explain": Explain, "lane": Lane}
_OPTION_NAMES = frozenset(option.name for option in dataclasses.fields(Options))
_KINDS: dict[str, tuple[type | tuple[type, ...], str]] = {
    "explain_margin": ((float, int), "a number"),
    "trials": (int, "an integer"),
    "allow_unscored": (bool, "true or false"),
}


def make_case(
    query: str, report: str, criteria: Iterable[CriterionLike], *, request_id: str = "", language: str = ""
) -> Case:
    """A case with an id of its own where none is given. Raises InvalidRequest for a wrong type; values come later."""
    for field, value in (("query", query), ("report", report), ("request_id", request_id), ("language", language)):
        _expect(field, value, str, "a text")
    return Case(
        id=request_id or uuid.uuid4().hex,
        query=query,
        report=report,
        criteria=make_criteria(criteria),
        language=language,
    )


def make_criteria(criteria: Iterable[CriterionLike]) -> tuple[Criterion, ...]:
    """The rubric; ids default to c1, c2, ... by position. Raises InvalidRequest for a wrong type."""
    if isinstance(criteria, str | Mapping):
        raise InvalidRequest("criteria", "must be a list of criteria, not one of them")
    return tuple(_criterion(i, criterion) for i, criterion in enumerate(criteria))


def make_reports(reports: Iterable[str]) -> list[str]:
    """The reports of a group. Raises InvalidRequest for a wrong type."""
    if isinstance(reports, str):
        raise InvalidRequest("reports", "must be a list of reports, not one of them")
    made = list(reports)
    for i, report in enumerate(made):
        _expect(f"reports[{i}]", report, str, "a text")
    return made


def _criterion(i: int, given: CriterionLike) -> Criterion:
    if isinstance(given, Criterion):
        return given
    values = {"text": given} if isinstance(given, str) else given
    path = f"criteria[{i}]"
    _expect(path, values, Mapping, "a Criterion, a dict or a text")

    def value(key: str, kind: type | tuple[type, ...], what: str) -> Any:
        found = values.get(key)  # None is what a table has in an empty cell
        if found is not None:
            _expect(f"{path}.{key}", found, kind, what)
        return found

    role, label = value("role", str, "a text"), value("label", str, "a text")
    weight = value("weight", (float, int), "a number")
    final_role, final_weight = role_and_weight(
        None if role is None else _member(f"{path}.role", role, Role), None if weight is None else float(weight)
    )
    return Criterion(
        id=value("id", str, "a text") or f"c{i + 1}",
        text=value("text", str, "a text") or "",
        weight=final_weight,
        role=final_role,
        axis=value("axis", str, "a text") or "",
        fatal=value("fatal", bool, "true or false") or False,
        label=None if label is None else _member(f"{path}.label", label, Label),
    )


def make_options(given: Mapping[str, object]) -> Options:
    """Options from keywords; enums also by their names, such as mapping="ternary". Raises InvalidRequest."""
    values: dict[str, Any] = dict(given)
    for name, value in given.items():
        if name not in _OPTION_NAMES:
            raise InvalidRequest(name, f"is no option; there are {', '.join(sorted(_OPTION_NAMES))}")
        if name in _ENUMS:
            _expect(name, value, str, "a text")
            values[name] = _member(name, str(value), _ENUMS[name])
        else:
            _expect(name, value, *_KINDS[name])
    options = Options(**values)
    check_options(options)
    return options


def make_compare_options(given: Mapping[str, object]) -> Options:
    """The options of a comparison: a mapping and a lane. Raises InvalidRequest, also for those that it has not."""
    for name in given:
        if name in _OPTION_NAMES and name not in ("mapping", "lane"):
            raise InvalidRequest(name, "is no option of compare, which gives one answer without reasons or trials")
    return make_options(given)


def _member(field: str, name: str, kind: type[E]) -> E:
    try:
        return kind(name.lower())
    except ValueError:
        raise InvalidRequest(field, f"{name!r} is not one of {', '.join(kind)}") from None


def _expect(field: str, value: object, kind: type | tuple[type, ...], what: str) -> None:
    # True is an int to Python, but no weight.
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise InvalidRequest(field, f"must be {what}, not {type(value).__name__}")
