"""A rubric that comes with a row of somebody's data: JSON text, a list, or an object, with the keys of any format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from judger.errors import Fault, InvalidRequest
from judger.rubric.place import Faults, Place
from judger.rubric.shapes import HEALTH_BENCH, OURS, RESEARCH_RUBRICS, Shape, read_criteria
from judger.rubric.strict_json import Parser
from judger.types import Criterion

__all__ = ["criteria_of"]

LISTS = ("criteria", "rubrics", "rubric")
"""The keys under which an object has its criteria."""


def criteria_of(given: object, field: str = "rubric") -> tuple[Criterion, ...]:
    """The criteria of a rubric. Raises InvalidRequest for its first fault.

    Args:
        given: JSON text of what follows; a list of texts or objects; an object with `criteria` or `rubrics`. An
            object has our keys (`text`, `weight`), ResearchRubrics' (`criterion`, `weight`) or HealthBench's
            (`criterion`, `points`); in the last two a zero weight drops the criterion.
        field: its name, for the path in an error.
    """
    warnings: list[Fault] = []
    faults = Faults("", warnings.append)
    if isinstance(given, str):
        given, _ = Parser(faults).parse(given, 1)
        for fault in faults.found:
            raise InvalidRequest(field if fault.field == "json" else _inside(field, fault.field), fault.reason)
    if isinstance(given, Mapping):
        key = next((key for key in LISTS if key in given), None)
        if key is None:
            raise InvalidRequest(field, f"has no {' or '.join(LISTS[:2])}")
        given, field = given[key], f"{field}.{key}"
        if isinstance(given, str):
            return criteria_of(given, field)
    if not isinstance(given, Sequence) or isinstance(given, (str, bytes)):
        raise InvalidRequest(field, "must be a list of criteria, an object with one, or JSON text of either")
    items: list[object] = [{"text": item} if isinstance(item, str) else item for item in given]
    criteria = read_criteria(items, Place(faults, 1, field), _shape(items))
    for fault in faults.found:
        raise InvalidRequest(fault.field, fault.reason)
    if not criteria:
        raise InvalidRequest(field, "is empty: there is nothing to judge")
    return criteria


def _shape(items: Sequence[object]) -> Shape:
    keys = {key for item in items if isinstance(item, Mapping) for key in item}
    if "criterion" not in keys or "text" in keys:
        return OURS
    return HEALTH_BENCH if "points" in keys else RESEARCH_RUBRICS


def _inside(field: str, path: str) -> str:
    return f"{field}{path}" if path.startswith("[") else f"{field}.{path}"
