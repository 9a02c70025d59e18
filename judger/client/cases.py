"""Cases out of what a caller has at hand: criteria as objects, dicts, texts or JSON; options as keywords.

Wrong types become InvalidRequest here, with the field; wrong values are for `judger.validate`.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import uuid
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypedDict, TypeVar

from judger.client.values import expect, plain
from judger.errors import InvalidRequest
from judger.types import Case, Criterion, Explain, Label, Lane, Options, Role
from judger.types import Mapping as RewardMapping
from judger.validate import (
    CASE_KEYS,
    CRITERION_KEYS,
    check_options,
    full_text,
    misspelt,
    misspelt_reason,
    role_and_weight,
)

CriterionLike = Criterion | Mapping[str, object] | str
"""A Criterion, a dict with the keys of a case file (others are carried along unread), or the text alone."""

RubricLike = Iterable[CriterionLike] | Mapping[str, object] | str
"""Criteria; or a dict that has them under `criteria` or `rubrics`; or either as JSON text."""

CaseLike = Case | Mapping[str, object] | Sequence[Any]
"""A Case, a dict with the keys of a case file, or (query, report, criteria)."""


class OptionKeywords(TypedDict, total=False):
    """The options of a call, those of `judger.types.Options`; enums also by name."""

    mapping: RewardMapping | str
    explain: Explain | str
    explain_margin: float
    trials: int
    allow_unscored: bool
    lane: Lane | str


E = TypeVar("E", bound=enum.StrEnum)
_ENUMS: dict[str, type[enum.StrEnum]] = {"mapping": RewardMapping, "explain": Explain, "lane": Lane}
_OPTION_NAMES = frozenset(option.name for option in dataclasses.fields(Options))
_KINDS: dict[str, tuple[type | tuple[type, ...], str]] = {
    "explain_margin": ((float, int), "a number"),
    "trials": (int, "an integer"),
    "allow_unscored": (bool, "true or false"),
}
_RUBRIC_KEYS = ("criteria", "rubrics")


def make_case(
    query: str, report: str, criteria: RubricLike, *, request_id: str = "", language: str = "", source: str = ""
) -> Case:
    """A case with an id of its own where none is given. Raises InvalidRequest for a wrong type; values come later."""
    texts = {"query": query, "report": report, "request_id": request_id, "language": language, "source": source}
    for field, value in texts.items():
        expect(field, value, str, "a text")
    return Case(
        id=request_id or uuid.uuid4().hex,
        query=query,
        report=report,
        criteria=make_criteria(criteria),
        language=language,
        source=source,
    )


def as_case(given: CaseLike) -> Case:
    """The case of whatever stands for one. Raises InvalidRequest."""
    if isinstance(given, Case):
        return make_case(
            given.query,
            given.report,
            given.criteria,
            request_id=given.id,
            language=given.language,
            source=given.source,
        )
    if isinstance(given, Mapping):
        for key, name in misspelt(given, CASE_KEYS):
            raise InvalidRequest(ascii(key)[1:-1], misspelt_reason(name))
        values: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
        for key in ("report", "criteria"):
            if key not in values:
                raise InvalidRequest(key, "is missing")
        return make_case(
            values.get("query", ""),
            values["report"],
            values["criteria"],
            request_id=values.get("id", values.get("request_id", "")),
            language=values.get("language", ""),
        )
    if isinstance(given, Sequence) and not isinstance(given, str | bytes) and len(given) == 3:
        return make_case(*given)
    raise InvalidRequest("case", f"must be a Case, a dict or (query, report, criteria), not {type(given).__name__}")


def make_criteria(criteria: RubricLike) -> tuple[Criterion, ...]:
    """The rubric; ids default to c1, c2, ... by position. Raises InvalidRequest for a wrong type."""
    given: Any = criteria
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            given = None
        if not isinstance(given, list | dict):
            raise InvalidRequest("criteria", "must be a list of criteria, or one as JSON, not one of them")
    if isinstance(given, Mapping):
        given = next((given[key] for key in _RUBRIC_KEYS if given.get(key) is not None), given)
        if isinstance(given, Mapping):
            raise InvalidRequest("criteria", "must be a list of criteria, not one of them")
    if isinstance(given, tuple) and all(map(_is_exact, given)):
        return given
    return tuple(_criterion(i, criterion) for i, criterion in enumerate(members("criteria", given, "criteria")))


def make_reports(reports: Iterable[str]) -> list[str]:
    """The reports of a group, in whatever holds them; each is still to be checked. Raises InvalidRequest."""
    return list(members("reports", reports, "reports"))


async def each(cases: Iterable[CaseLike] | AsyncIterable[CaseLike]) -> AsyncGenerator[CaseLike, None]:
    """The cases of a source of either kind. Raises InvalidRequest where it is none."""
    if isinstance(cases, AsyncIterable):
        async for case in cases:
            yield case
    else:
        for case in members("cases", cases, "cases"):
            yield case


def members(field: str, given: Any, what: str) -> Iterator[Any]:
    """The members of a list, an array or any other iterable. Raises InvalidRequest where it is none."""
    if isinstance(given, str | bytes | Mapping | Case):
        raise InvalidRequest(field, f"must be a list of {what}, not one of them")
    try:
        return iter(given)
    except TypeError:
        raise InvalidRequest(field, f"must be a list of {what}, not {type(given).__name__}") from None


def _is_exact(given: object) -> bool:
    """A Criterion whose values have the types that it declares: nothing needs to be made of it."""
    if type(given) is not Criterion:
        return False
    texts = (given.id, given.text, given.axis)
    kinds = (type(given.role), type(given.weight), type(given.fatal))
    return all(type(text) is str for text in texts) and kinds == (Role, float, bool) and bool(given.id)


def _criterion(i: int, given: CriterionLike) -> Criterion:
    path = f"criteria[{i}]"
    if isinstance(given, Criterion):
        values: Any = {one.name: getattr(given, one.name) for one in dataclasses.fields(Criterion)}
    else:
        values = {"text": given} if isinstance(given, str) else given
        expect(path, values, Mapping, "a Criterion, a dict or a text")
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
        None if role is None else _member(f"{path}.role", role, Role), number("points") if weight is None else weight
    )
    final_label = None if label is None else _member(f"{path}.label", label, Label)
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


def make_options(given: Mapping[str, object], options: Options | None = None) -> Options:
    """Options from keywords, over those of an object; enums also by their names, such as mapping="ternary".

    Raises InvalidRequest.
    """
    if options is not None and not isinstance(options, Options):
        raise InvalidRequest("options", f"must be Options, not {type(options).__name__}: options are keywords")
    base = {} if options is None else {name: getattr(options, name) for name in _OPTION_NAMES}
    values: dict[str, Any] = {}
    for name, raw in {**base, **given}.items():
        if name not in _OPTION_NAMES:
            raise InvalidRequest(name, f"is no option; there are {', '.join(sorted(_OPTION_NAMES))}")
        value = plain(raw)
        if name in _ENUMS:
            expect(name, value, str, "a text")
            values[name] = _member(name, str(value), _ENUMS[name])
        else:
            expect(name, value, *_KINDS[name])
            values[name] = value
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
        raise InvalidRequest(field, f"{name!a} is not one of {', '.join(kind)}") from None
