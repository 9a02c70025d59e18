"""Which key of which format holds what, and the criteria of a list in any of them.

What is wrong with a value that has the right type is said by `judger.validate`: the rules that the server has.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from judger.rubric.fields import Fields, is_object, type_name
from judger.rubric.place import Place, shown
from judger.types import LIMITS, Criterion, Label, Role
from judger.validate import CRITERION_KEYS, criteria_faults, full_text, role_and_weight, text_fault

CRITERION_PATH = re.compile(r"criteria\[(\d+)\](?:\.(\w+))?")


@dataclass(frozen=True, slots=True)
class Shape:
    """Which key holds what, and whether a zero weight is an error or, in others' data, a criterion to drop."""

    id: str = "id"
    query: str = "query"
    criteria: str = "criteria"
    text: str = "text"
    weight: str = "weight"
    domain: str = "topic"
    drops_zero: bool = False


OURS = Shape()
TASK = Shape(drops_zero=True)
RESEARCH_RUBRICS = Shape("sample_id", "prompt", "rubrics", "criterion", "weight", "domain", drops_zero=True)
HEALTH_BENCH = Shape("prompt_id", "prompt", "rubrics", "criterion", "points", drops_zero=True)
DEEP_RESEARCH_BENCH = Shape("id", "prompt", "content", domain="theme")
HEALTH_BENCH_META = Shape("completion_id", "prompt", "rubric", "rubric", "points")


def shape_of(values: dict[str, object]) -> Shape:
    """The shape of an object, by the keys that only one of them has."""
    if "binary_labels" in values and "rubric" in values:
        return HEALTH_BENCH_META
    content = values.get("content")
    if isinstance(content, dict) and "rubric" in content:
        return DEEP_RESEARCH_BENCH
    if "rubrics" in values:
        is_chat = "prompt_id" in values or isinstance(values.get("prompt"), list)
        return HEALTH_BENCH if is_chat else RESEARCH_RUBRICS
    return TASK if "reports" in values and "report" not in values else OURS


def read_criteria(
    raw: Sequence[object], place: Place, shape: Shape, *, labelled: bool = False, monitors: bool = False
) -> tuple[Criterion, ...]:
    """The criteria of a list at `place`, with every fault of each. `monitors` lets a weight of zero be."""
    criteria: list[Criterion] = []
    origins: list[int] = []
    if len(raw) > LIMITS.criteria:
        place.fault(f"has {len(raw):,} entries, more than the limit of {LIMITS.criteria:,}")
        return ()
    for i, values in enumerate(raw):
        here = place.at(i)
        if not is_object(values, here):
            continue
        before = len(place.faults.found)
        criterion = _criterion(Fields(values, here), shape, i, labelled=labelled)
        if criterion.weight == 0 and shape.drops_zero and not monitors:
            here.warning(f"the weight is 0: the criterion is dropped: {shown(criterion.text)}")
        elif len(place.faults.found) == before:
            criteria.append(criterion)
            origins.append(i)
    if raw and not criteria and place.faults.found:
        return ()  # each has its fault; that none is left is no news
    for path, reason in criteria_faults(criteria, monitors=monitors):
        match = CRITERION_PATH.fullmatch(path)
        if match is None:
            place.fault(reason)
            continue
        key = match[2] or ""
        reason = CRITERION_PATH.sub(lambda other: f"{place.path}[{origins[int(other[1])]}]", reason)
        place.at(origins[int(match[1])]).fault(
            reason, {"text": shape.text, "weight": shape.weight}.get(key, key) or None
        )
    return tuple(criteria)


def _criterion(fields: Fields, shape: Shape, index: int, *, labelled: bool) -> Criterion:
    fields.check_spelling([shape.text, shape.weight, *CRITERION_KEYS[2:]])
    role, weight = role_and_weight(fields.choice("role", Role), fields.number(shape.weight))
    identifier = fields.text("id")
    if shape is HEALTH_BENCH:
        axis = tag(fields.values.get("tags"), "axis:")
    else:
        axis = fields.text("axis") or ""
        if shape is RESEARCH_RUBRICS and axis.startswith("Implicit") and role is Role.EXPLICIT:
            role = Role.IMPLICIT
    label = fields.choice("label", Label)
    if labelled and "label" not in fields.values:
        fields.place.fault("is missing: every criterion of a labelled file has one", "label")
    text = full_text(fields.text(shape.text) or "", fields.values, label)
    if not text and shape.text not in fields.values:
        fields.place.fault("is missing", shape.text)
    return Criterion(
        id=f"c{index + 1}" if identifier is None else identifier,
        text=text,
        weight=weight,
        role=role,
        axis=axis,
        fatal=fields.flag("fatal") or False,
        label=label,
    )


def read_dimensions(values: dict[str, object], place: Place) -> tuple[Criterion, ...]:
    """The criteria of DeepResearch Bench II: texts by dimension, which is their axis; every one weighs 1.

    Ids are the dimension and the position in it: `analysis-3`.
    """
    rubric = Fields(values, place).values.get("rubric")
    place = place.at("rubric")
    if not is_object(rubric, place):
        return ()
    before = len(place.faults.found)
    raw: list[object] = []
    for axis in rubric:
        for i, text in enumerate(Fields(rubric, place).items(axis) or []):
            if not isinstance(text, str):
                place.at(axis).at(i).fault(f"must be a string, not {type_name(text)}")
            elif reason := text_fault(text, LIMITS.criterion_bytes):
                place.at(axis).at(i).fault(reason)
            else:
                raw.append({"id": f"{axis}-{i + 1}", "text": text, "axis": axis})
    return () if len(place.faults.found) > before else read_criteria(raw, place, OURS)


def tag(tags: object, prefix: str) -> str:
    """The rest of the first tag with a prefix; HealthBench's `axis:accuracy`."""
    found = (
        (entry for entry in tags if isinstance(entry, str) and entry.startswith(prefix))
        if isinstance(tags, list)
        else ()
    )
    return next((entry.removeprefix(prefix) for entry in found), "")
