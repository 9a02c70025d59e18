"""Cases out of what a caller has at hand: criteria as objects, dicts, texts or JSON; options as keywords.

Wrong types become InvalidRequest here, with the field; wrong values are for `judger.validate`.
"""

from __future__ import annotations

import dataclasses
import enum
import uuid
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Mapping, Sequence
from typing import Any, TypedDict

from judger.errors import InvalidRequest
from judger.given import RubricLike, expect, make_criteria, member, members, plain
from judger.types import Case, Explain, Lane, Options
from judger.types import Mapping as RewardMapping
from judger.validate import CASE_KEYS, check_options, misspelt, misspelt_reason

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


_ENUMS: dict[str, type[enum.StrEnum]] = {"mapping": RewardMapping, "explain": Explain, "lane": Lane}
_OPTION_NAMES = frozenset(option.name for option in dataclasses.fields(Options))
_KINDS: dict[str, tuple[type | tuple[type, ...], str]] = {
    "explain_margin": ((float, int), "a number"),
    "trials": (int, "an integer"),
    "allow_unscored": (bool, "true or false"),
}


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
            values[name] = member(name, str(value), _ENUMS[name])
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
