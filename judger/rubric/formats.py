"""The shapes of a line: our own case and rubric, ResearchRubrics', HealthBench's, and tasks that carry several reports.

ours               id, query, report, criteria [{id, text, weight, role, axis, fatal, label}]
a task             id, query, criteria, reports [{model, text}]: one case per report
ResearchRubrics    sample_id, prompt, domain, rubrics [{criterion, weight, axis}]
                   (arXiv 2511.07685, processed_data.jsonl)
DeepResearch Bench II   id, prompt, language, theme, content {task, rubric {DIMENSION: [text]}, blocked}
                   (arXiv 2601.08536, tasks_and_rubrics.jsonl)
HealthBench        prompt_id, prompt [{role, content}], rubrics [{criterion, points, tags}], ideal_completions_data
                   (OpenAI simple-evals, *_oss_eval.jsonl), and its meta-evaluation, one physician-labelled
                   criterion a line: prompt, completion, completion_id, rubric, binary_labels (*_oss_meta_eval.jsonl)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from judger.rubric.fields import Fields, is_object
from judger.rubric.place import Place
from judger.rubric.shapes import (
    DEEP_RESEARCH_BENCH,
    HEALTH_BENCH,
    HEALTH_BENCH_META,
    TASK,
    Shape,
    read_criteria,
    read_dimensions,
    shape_of,
    tag,
)
from judger.types import LIMITS, Case, Criterion, Label
from judger.validate import text_fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Rubric:
    """The ordered criteria of one task, as a file states them. All texts may be empty."""

    id: str
    query: str
    criteria: tuple[Criterion, ...]
    domain: str = ""
    language: str = ""


def read_rubric_object(values: dict[str, object], place: Place, *, monitors: bool = False) -> Rubric:
    """The rubric of one object of any shape but the meta-evaluation's."""
    shape = shape_of(values)
    fields = Fields(values, place)
    fields.check_spelling([shape.query])
    criteria = _criteria(fields, place, shape, monitors=monitors)
    domain = values.get(shape.domain)
    if shape is HEALTH_BENCH:
        domain = tag(values.get("example_tags"), "theme:")
    identifier = fields.text(shape.id) or ""
    if reason := text_fault(identifier, LIMITS.criterion_bytes, may_be_blank=True):
        place.fault(reason, shape.id)
    return Rubric(
        id=identifier,
        query=_query(fields, shape),
        criteria=criteria,
        domain=domain if isinstance(domain, str) else "",
        language=_string(fields, "language"),
    )


def _criteria(
    fields: Fields, place: Place, shape: Shape, *, labelled: bool = False, monitors: bool = False
) -> tuple[Criterion, ...]:
    """The criteria under the key of the shape."""
    here = place.at(shape.criteria)
    if shape is DEEP_RESEARCH_BENCH:
        content = fields.values[shape.criteria]
        return read_dimensions(content, here) if is_object(content, here) else ()
    raw = fields.items(shape.criteria)
    return () if raw is None else read_criteria(raw, here, shape, labelled=labelled, monitors=monitors)


def read_case_objects(
    values: dict[str, object],
    place: Place,
    *,
    rubric: tuple[Criterion, ...] | None,
    labelled: bool,
    monitors: bool = False,
) -> Iterator[Case]:
    """The cases of one object: one, or one per report of a task. With a `rubric` that one counts, not the object's."""
    shape = shape_of(values)
    fields = Fields(values, place)
    fields.check_spelling([shape.query, "language", *([] if rubric is not None else [shape.criteria])])
    identifier = fields.text(shape.id, required=True)
    if identifier is not None and (reason := text_fault(identifier, LIMITS.criterion_bytes)):
        place.fault(reason, shape.id)
    query = _query(fields, shape)
    reports = list(_reports(fields, shape, identifier or ""))
    criteria = rubric
    if rubric is None and shape is HEALTH_BENCH_META:
        criteria = _physicians(fields)
        if criteria is None:
            return
        # A completion has several lines, one a criterion.
        reports = [(f"{name}:{place.line}", report) for name, report in reports]
    elif rubric is None:
        criteria = _criteria(fields, place, shape, labelled=labelled, monitors=monitors)
    for name, report in reports:
        yield Case(
            id=name,
            query=query,
            report=report,
            criteria=criteria or (),
            language=_string(fields, "language"),
            source=_string(fields, "source"),
        )


def _reports(fields: Fields, shape: Shape, identifier: str) -> Iterator[tuple[str, str]]:
    """(case id, report) of an object."""
    if shape is TASK:
        place = fields.place.at("reports")
        raw = fields.items("reports") or []
        if not raw and fields.values["reports"] == []:
            place.fault("is empty: a rubric without a report is no case")
        for i, values in enumerate(raw):
            here = place.at(i)
            if is_object(values, here):
                inner = Fields(values, here)
                text = _report(inner, "text")
                model = inner.text("model") or ""
                if reason := text_fault(model, LIMITS.criterion_bytes, may_be_blank=True):
                    here.fault(reason, "model")
                yield f"{identifier}/{model or i + 1}", text
        return
    key = "report"
    if shape is HEALTH_BENCH_META or (shape is HEALTH_BENCH and "report" not in fields.values):
        key = "completion"
    ideal = fields.values.get("ideal_completions_data")
    if shape is HEALTH_BENCH and key not in fields.values and isinstance(ideal, dict):
        inner = Fields(ideal, fields.place.at("ideal_completions_data"))
        yield identifier, _report(inner, "ideal_completion")
    else:
        yield identifier, _report(fields, key)


def _report(fields: Fields, key: str) -> str:
    text = fields.text(key, required=True)
    if text is not None and (reason := text_fault(text, LIMITS.report_bytes)):
        fields.place.fault(reason, key)
    return text or ""


def _query(fields: Fields, shape: Shape) -> str:
    if isinstance(fields.values.get(shape.query), list) and shape in (HEALTH_BENCH, HEALTH_BENCH_META):
        text = _conversation(fields, shape.query)
    elif shape is DEEP_RESEARCH_BENCH and isinstance(content := fields.values.get(shape.criteria), dict):
        # The prompt is the task and a list of sources that the system may not read: nothing of the report.
        text = Fields(content, fields.place.at(shape.criteria)).text("task", required=True) or ""
    else:
        text = fields.text(shape.query) or ""
    if reason := text_fault(text, LIMITS.query_bytes, may_be_blank=True):
        fields.place.fault(reason, shape.query)
    return text


def _conversation(fields: Fields, key: str) -> str:
    """Chat messages as one text: a single question as it is, several turns as simple-evals' grader shows them."""
    turns: list[tuple[str, str]] = []
    place = fields.place.at(key)
    for i, values in enumerate(fields.items(key) or []):
        if is_object(values, place.at(i)):
            message = Fields(values, place.at(i))
            turns.append((message.text("role", required=True) or "", message.text("content", required=True) or ""))
    if len(turns) == 1 and turns[0][0] == "user":
        return turns[0][1]
    return "\n\n".join(f"{role}: {content}" for role, content in turns)


def _physicians(fields: Fields) -> tuple[Criterion, ...] | None:
    """One criterion with the majority's label; None after a fault, or where the physicians are split evenly."""
    text = fields.text("rubric", required=True)
    labels = fields.items("binary_labels")
    if text is None or labels is None:
        return None
    place = fields.place.at("binary_labels")
    if not labels or not all(isinstance(label, bool) for label in labels):
        place.fault("must be a list of booleans, and not an empty one")
        return None
    if reason := text_fault(text, LIMITS.criterion_bytes):
        fields.place.fault(reason, "rubric")
        return None
    met = sum(label is True for label in labels)
    if 2 * met == len(labels):
        place.warning(f"{met} of {len(labels)} physicians say yes: without a majority there is no label, dropped")
        return None
    label = Label.FULLY_SATISFIED if 2 * met > len(labels) else Label.NOT_SATISFIED
    return (Criterion(id="c1", text=text, axis=_string(fields, "category"), label=label),)


def _string(fields: Fields, key: str) -> str:
    """A key that is carried along: taken where it is a text, ignored where it is something else."""
    value = fields.values.get(key)
    if not isinstance(value, str):
        return ""
    if reason := text_fault(value, LIMITS.criterion_bytes, may_be_blank=True):
        fields.place.fault(reason, key)
    return value
