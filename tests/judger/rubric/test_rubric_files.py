"""Files as people have them load; what is wrong with one is said with its line and field."""

from __future__ import annotations

import gzip
import json
import math
import os
import re
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from judger.errors import Fault, InvalidFile
from judger.rubric import (
    iter_cases,
    iter_records,
    read_cases,
    read_report,
    read_reports,
    read_rubric,
    read_rubrics,
)
from judger.types import Criterion, Label, Role

CASE = {"id": "a", "query": "q", "report": "the report", "criteria": [{"text": "says so"}]}

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(content: str | bytes | object, name: str = "file.jsonl") -> Path:
        path = tmp_path / name
        if not isinstance(content, (str, bytes)):
            lines = content if isinstance(content, list) else [content]
            content = "".join(json.dumps(line) + "\n" for line in lines)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def faults_of(path: Path, **options: object) -> list[str]:
    """`LINE: FIELD: reason` of every fault of a case file."""
    with pytest.raises(InvalidFile) as raised:
        read_cases(path, **options)  # type: ignore[arg-type]
    return [str(fault).removeprefix(f"{path}:") for fault in raised.value.faults]


def case_with(**changes: object) -> dict[str, object]:
    return {**CASE, **changes}


def criterion_with(**changes: object) -> dict[str, object]:
    return case_with(criteria=[{"text": "says so", **changes}])


def test_defaults_are_filled_in(write: Write) -> None:
    [case] = read_cases(write({"id": "a", "report": "r", "criteria": [{"text": "t"}, {"text": "f", "weight": -2}]}))
    assert case.query == ""
    assert case.criteria == (
        Criterion(id="c1", text="t", weight=1.0, role=Role.EXPLICIT),
        Criterion(id="c2", text="f", weight=-2.0, role=Role.NEGATIVE),
    )


def test_every_field_is_read(write: Write) -> None:
    criterion = {"id": "x", "text": "t", "weight": -1, "role": "negative", "axis": "form", "fatal": True}
    line = case_with(criteria=[{**criterion, "label": "partially_satisfied"}], source="here", language="en", kind=[1])
    [record] = iter_records(write(line))
    assert record.case.source == "here"
    assert record.case.language == "en"
    assert record.line == 1
    assert record.raw["kind"] == [1]
    assert record.case.criteria == (
        Criterion(
            id="x",
            text="t",
            weight=-1,
            role=Role.NEGATIVE,
            axis="form",
            fatal=True,
            label=Label.PARTIALLY_SATISFIED,
        ),
    )


def test_keys_that_nobody_reads_may_hold_anything(write: Write) -> None:
    [case] = read_cases(write(case_with(source={"a": 1}, language=3, meta=[None])))
    assert (case.source, case.language) == ("", "")


def test_gzip_is_read_whatever_the_name(write: Write) -> None:
    packed = gzip.compress(json.dumps(CASE).encode(), mtime=0)
    assert read_cases(write(packed, "file.jsonl.gz")) == read_cases(write(packed, "file.jsonl"))


def test_blank_lines_are_skipped_and_counted(write: Write) -> None:
    path = write(json.dumps(CASE) + "\r\n\r\n   \n" + json.dumps(case_with(id="b")))
    assert [record.line for record in iter_records(path)] == [1, 4]


def test_separators_of_unicode_do_not_end_a_line(write: Write) -> None:
    [case] = read_cases(write(json.dumps(case_with(report="a\u2028b\x85c"), ensure_ascii=False)))
    assert case.report == "a\u2028b\x85c"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ({k: v for k, v in CASE.items() if k != "id"}, "1: id: is missing"),
        (case_with(id=3), "1: id: must be a string, not a number"),
        (case_with(id=""), "1: id: is empty"),
        (case_with(report=""), "1: report: is empty"),
        (case_with(report=" \n"), "1: report: is blank"),
        ({k: v for k, v in CASE.items() if k != "report"}, "1: report: is missing"),
        (case_with(query=None), "1: query: must be a string, not null"),
        (case_with(criteria={}), "1: criteria: must be a list, not an object"),
        (case_with(criteria=[]), "1: criteria: is empty: there is nothing to judge"),
        (case_with(criteria=[3]), "1: criteria[0]: must be an object, not a number"),
        (criterion_with(text=""), "1: criteria[0].text: is empty"),
        (criterion_with(text=["t"]), "1: criteria[0].text: must be a string, not a list"),
        (criterion_with(weight="2"), "1: criteria[0].weight: must be a number, not a string"),
        (criterion_with(weight=True), "1: criteria[0].weight: must be a number, not a boolean"),
        (criterion_with(weight=None), "1: criteria[0].weight: must be a number, not null"),
        (criterion_with(weight=0), "1: criteria[0].weight: must not be zero: leave the criterion out instead"),
        (criterion_with(weight=10**400), "1: criteria[0].weight: is too large a number"),
        (criterion_with(weight=math.nan), "1: criteria[0].weight: NaN is not JSON: a number is finite"),
        (criterion_with(weight=-math.inf), "1: criteria[0].weight: -Infinity is not JSON: a number is finite"),
        (case_with(meta=[math.inf]), "1: meta[0]: Infinity is not JSON: a number is finite"),
        (
            criterion_with(weight=1, role="negative"),
            "1: criteria[0].weight: is positive (1), but the role is negative",
        ),
        (
            criterion_with(weight=-1, role="implicit"),
            "1: criteria[0].weight: is negative (-1), but the role is implicit",
        ),
        (
            criterion_with(role="bonus"),
            "1: criteria[0].role: must be one of explicit, implicit, negative, not 'bonus'",
        ),
        (criterion_with(fatal=1), "1: criteria[0].fatal: must be a boolean, not a number"),
        (
            criterion_with(fatal=True),
            "1: criteria[0].fatal: only a negative criterion can be fatal, but the role is explicit",
        ),
        (
            criterion_with(label="yes"),
            "1: criteria[0].label: must be one of not_satisfied, partially_satisfied, fully_satisfied, not 'yes'",
        ),
        (
            case_with(criteria=[{"id": "x", "text": "t"}, {"id": "x", "text": "u"}]),
            "1: criteria[1].id: 'x' is a duplicate: criteria[0] has it already",
        ),
        (case_with(criteria=[{"text": "t"}] * 513), "1: criteria: has 513 entries, more than the limit of 512"),
    ],
)
def test_a_fault_names_line_and_field(write: Write, line: object, expected: str) -> None:
    assert faults_of(write(line)) == [expected]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "1: file: is empty"),
        (b"\n \n", "1: file: is empty"),
        (b"[]", "1: file: is an empty list"),
        (b"3", "1: file: must be an object, not a number"),
        (b"{]", "1: json: is not JSON: expecting property name enclosed in double quotes, column 2"),
        (b'{"a": 1', "1: json: is not JSON: expecting ',' delimiter, column 8"),
        (b"[" * 100_000, "1: json: is nested too deeply"),
        (b'{"a":' + b"[" * 101 + b"]" * 101 + b"}", "1: json: is nested more than 100 levels deep"),
        (b'{"a": ' + b"1" * 5000 + b"}", "1: json: holds a number of too many digits"),
        (b'{"report": "\xff"}', "1: encoding: is not UTF-8: byte 0xFF at column 13"),
        ('{"id": "a"}'.encode("utf-16"), "1: encoding: is UTF-16: save the file as UTF-8"),
        (gzip.compress(json.dumps(CASE).encode(), mtime=0)[:-12], "1: gzip: is truncated"),
        (b"\x1f\x8b" + b"x" * 50, "1: gzip: is damaged: Unknown compression method"),
    ],
)
def test_a_file_that_is_no_json_lines_is_one_fault(write: Write, content: bytes, expected: str) -> None:
    assert faults_of(write(content)) == [expected]


def test_a_byte_order_mark_is_a_fault_and_the_rest_is_still_read(write: Write) -> None:
    assert faults_of(write(b"\xef\xbb\xbf" + json.dumps(case_with(report="")).encode())) == [
        "1: encoding: starts with a byte order mark: save the file as UTF-8 without one",
        "1: report: is empty",
    ]


def test_a_lone_surrogate_is_a_fault(write: Write) -> None:
    [fault] = faults_of(write(case_with(report="a\ud800")))
    assert fault.startswith("1: report: character 1 is a lone surrogate")
    fault.encode()


def test_a_key_given_twice_is_a_fault(write: Write) -> None:
    text = '{"id": "a", "report": "r", "criteria": [{"text": "t", "text": "u"}]}'
    assert faults_of(write(text)) == ["1: criteria[0].text: the key text is given twice"]


def test_a_case_id_given_twice_names_the_first_line(write: Write) -> None:
    assert faults_of(write([CASE, case_with(id="b"), CASE])) == ["3: id: 'a' is a duplicate: line 1 has it already"]


def test_all_faults_of_all_lines_are_collected(write: Write) -> None:
    bad = case_with(id="b", report="", criteria=[{"text": ""}, {"weight": "x"}, {"text": "t", "fatal": True}])
    faults = faults_of(write([CASE, bad, 7]))
    assert [fault.split(": ")[:2] for fault in faults] == [
        ["2", "report"],
        ["2", "criteria[1].weight"],
        ["2", "criteria[1].text"],
        ["2", "criteria[0].text"],
        ["2", "criteria[2].fatal"],
        ["3", "file"],
    ]


def test_a_labelled_file_needs_every_label(write: Write) -> None:
    path = write(case_with(criteria=[{"text": "t", "label": "not_satisfied"}, {"text": "u"}]))
    assert len(read_cases(path)) == 1
    assert faults_of(path, labelled=True) == [
        "1: criteria[1].label: is missing: every criterion of a labelled file has one"
    ]


@pytest.mark.parametrize("name", ["missing.jsonl", ".", "with\0null"])
def test_a_file_that_cannot_be_opened_is_a_fault(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidFile, match="can't be read"):
        read_cases(f"{tmp_path}/{name}")
    with pytest.raises(InvalidFile, match="can't be read"):
        iter_cases(f"{tmp_path}/{name}")


def test_streaming_checks_the_whole_file_before_the_first_case(write: Write) -> None:
    with pytest.raises(InvalidFile):
        iter_cases(write([CASE, case_with(id="b", report="")]))


def test_streaming_reads_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    thread = threading.Thread(target=pipe.write_text, args=(json.dumps(CASE),))
    thread.start()
    cases = list(iter_cases(pipe))
    thread.join()
    assert [case.id for case in cases] == ["a"]


def test_a_file_that_changes_while_it_is_streamed_is_a_fault(write: Write) -> None:
    path = write(CASE)
    cases = iter_cases(path)
    write("no json")
    with pytest.raises(InvalidFile):
        list(cases)


def test_a_json_document_of_cases_knows_the_lines_of_its_fields(write: Write) -> None:
    document = json.dumps([CASE, case_with(id="b", criteria=[{"text": "t"}, {"text": "u", "weight": 0}])], indent=1)
    line = document.split("\n").index('    "weight": 0') + 1
    [fault] = faults_of(write(document, "cases.json"))
    assert fault.startswith(f"{line}: [1].criteria[1].weight: must not be zero")


def test_json_lines_under_the_name_of_a_document_are_read(write: Write) -> None:
    path = write([CASE, case_with(id="b")], "cases.json")
    assert [case.id for case in read_cases(path)] == ["a", "b"]


def test_reports_alone_take_a_rubric(write: Write) -> None:
    path = write([{"id": "a", "report": "r"}, {"id": "b", "report": "s", "criteria": "unread"}])
    rubric = (Criterion(id="x", text="t"),)
    assert [case.criteria for case in read_cases(path, rubric=rubric)] == [rubric, rubric]
    assert [(case.id, case.report, case.criteria) for case in read_reports(path)] == [("a", "r", ()), ("b", "s", ())]


def test_a_report_is_read_from_a_file_of_its_own(write: Write) -> None:
    assert read_report(write("# Title\r\n\r\nText\n", "a.md")) == "# Title\n\nText"
    with pytest.raises(InvalidFile, match=r"a\.md:1: file: is empty|a\.md:1: report: is empty"):
        read_report(write("", "a.md"))
    with pytest.raises(InvalidFile, match=r"a\.md:2: encoding: is not UTF-8"):
        read_report(write(b"ok\n\xff", "a.md"))


YAML = """\
# A comment
query: What happened?
criteria:
  - text: Gives the year.
    weight: 2
  - text: >
      Names the
      place.
    role: implicit
  - {text: Invents a quote., weight: -3.5, fatal: true}
"""


def test_a_yaml_rubric_loads(write: Write) -> None:
    [rubric] = read_rubrics(write(YAML, "rubric.yaml"))
    assert rubric.query == "What happened?"
    assert [(c.id, c.text, c.weight, c.role.value, c.fatal) for c in rubric.criteria] == [
        ("c1", "Gives the year.", 2.0, "explicit", False),
        ("c2", "Names the place.\n", 1.0, "implicit", False),
        ("c3", "Invents a quote.", -3.5, "negative", True),
    ]
    assert read_rubric(write(YAML, "rubric.yml")) == rubric.criteria


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("weight: 2", "weight: 0", "5: criteria[0].weight: must not be zero: leave the criterion out instead"),
        ("weight: 2", "weight: two", "5: criteria[0].weight: must be a number, not a string"),
        ("weight: 2", "weight: .nan", "5: criteria[0].weight: must be a finite number, not nan"),
        ("weight: 2", "weight: !!int x", "5: criteria[0].weight: x is no valid int"),
        ("weight: 2", "weight: !!python/name:os.system", "5: criteria[0].weight: the tag"),
        ("weight: 2", "text: again", "5: criteria[0].text: the key text is given twice"),
        ("weight: 2", "? [a]\n    : b", "5: criteria[0]: a key must be a plain text"),
        ("text: Gives the year.", "text: 1999", "4: criteria[0].text: must be a string, not a number"),
        ("role: implicit", "role: [", "10: yaml: is not YAML: expected the node content, but found '-'"),
        ("- text: Gives", "- &a text: Gives", None),
        ("weight: 2", "weight: *a", "5: yaml: is not YAML: anchors and aliases are not supported: write the value out"),
        ("# A", "\x01", "1: yaml: is not YAML: character U+0001 is not allowed"),
    ],
)
def test_a_fault_of_a_yaml_rubric_names_its_line(write: Write, old: str, new: str, expected: str | None) -> None:
    path = write(YAML.replace(old, new, 1), "rubric.yaml")
    if expected is None:
        assert read_rubric(path)
        return
    with pytest.raises(InvalidFile) as raised:
        read_rubric(path)
    [fault] = raised.value.faults
    assert str(fault).startswith(f"{path}:{expected}")


def test_a_yaml_alias_bomb_and_a_deep_nest_are_faults(write: Write) -> None:
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{name}: &{name} [" + ", ".join([f"*{before}"] * 9) + "]\n"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    for text in (bomb, "[" * 20_000, "- " * 2_000 + "x"):
        with pytest.raises(InvalidFile) as raised:
            read_rubric(write(text, "rubric.yaml"))
        assert len(raised.value.faults) == 1


@pytest.mark.parametrize("name", ["rubric.json", "rubric.yaml"])
def test_a_list_of_criteria_is_a_rubric(write: Write, name: str) -> None:
    assert read_rubric(write('[{"text": "t"}, {"text": "u", "weight": -1}]', name))[1].role is Role.NEGATIVE


def test_a_fault_of_a_json_rubric_names_its_line(write: Write) -> None:
    with pytest.raises(InvalidFile, match=r"rubric\.json:3: \[1\]\.text: is missing"):
        read_rubric(write('[\n {"text": "t"},\n {"weight": 1}\n]', "rubric.json"))
    with pytest.raises(InvalidFile, match=r"rubric\.json:4: \[1\]\.weight: the key weight is given twice"):
        read_rubric(write('[\n {"text": "t"},\n {"text": "u", "weight": 1,\n"weight": 1}\n]', "rubric.json"))


def test_several_rubrics_are_not_one(write: Write) -> None:
    path = write('[{"id": "a", "criteria": [{"text": "t"}]}, {"id": "b", "criteria": [{"text": "u"}]}]', "r.json")
    assert [rubric.id for rubric in read_rubrics(path)] == ["a", "b"]
    with pytest.raises(InvalidFile, match="holds 2 rubrics where one is wanted"):
        read_rubric(path)


RESEARCH_RUBRICS = {
    "prompt": "Plan a day.",
    "sample_id": "683a",
    "domain": "Current Events",
    "conceptual_breadth": "Simple",
    "logical_nesting": "Intermediate",
    "exploration": "Medium",
    "rubrics": [
        {"criterion": "Covers the morning.", "weight": 5.0, "axis": "Explicit Criteria"},
        {"criterion": "Names a museum.", "weight": 0.0, "axis": "Implicit Criteria"},
        {"criterion": "Names a park.", "weight": 2, "axis": "Implicit Criteria"},
        {"criterion": "Cites events of other years.", "weight": -4.0, "axis": "Explicit Criteria"},
    ],
}


def test_research_rubrics_own_file_loads_and_a_zero_weight_is_dropped_with_a_warning(write: Write) -> None:
    warnings: list[Fault] = []
    path = write([RESEARCH_RUBRICS])
    [rubric] = read_rubrics(path, on_warning=warnings.append)
    assert (rubric.id, rubric.query, rubric.domain) == ("683a", "Plan a day.", "Current Events")
    assert [(c.id, c.weight, c.role.value, c.axis) for c in rubric.criteria] == [
        ("c1", 5.0, "explicit", "Explicit Criteria"),
        ("c3", 2.0, "implicit", "Implicit Criteria"),
        ("c4", -4.0, "negative", "Explicit Criteria"),
    ]
    assert [str(warning) for warning in warnings] == [
        f"{path}:1: rubrics[1]: the weight is 0: the criterion is dropped: 'Names a museum.'"
    ]


def test_a_warning_that_nobody_takes_is_logged(write: Write, caplog: pytest.LogCaptureFixture) -> None:
    read_rubrics(write([RESEARCH_RUBRICS]))
    assert "Names a museum." in caplog.text


def test_research_rubrics_with_reports_are_cases_and_faults_use_its_names(write: Write) -> None:
    [case] = read_cases(write({**RESEARCH_RUBRICS, "report": "r"}), on_warning=lambda _: None)
    assert (case.id, case.query, len(case.criteria)) == ("683a", "Plan a day.", 3)
    bad = {**RESEARCH_RUBRICS, "rubrics": [*RESEARCH_RUBRICS["rubrics"][:2], {"criterion": "", "weight": 1}]}  # type: ignore[index]
    assert faults_of(write(bad), on_warning=lambda _: None) == [
        "1: report: is missing",
        "1: rubrics[2].criterion: is empty",
    ]


HEALTH_BENCH = {
    "example_tags": ["theme:hedging", "physician_agreed_category:no-uncertainty"],
    "ideal_completions_data": None,
    "prompt": [{"role": "user", "content": "Is it safe?"}],
    "prompt_id": "1f54",
    "rubrics": [
        {"criterion": "Says to ask a doctor.", "points": 10, "tags": ["level:example", "axis:completeness"]},
        {"criterion": "Gives a wrong dose.", "points": -8, "tags": []},
    ],
    "canary": "x",
}


def test_health_bench_own_file_loads(write: Write) -> None:
    [rubric] = read_rubrics(write([HEALTH_BENCH]))
    assert (rubric.id, rubric.query, rubric.domain) == ("1f54", "Is it safe?", "hedging")
    assert [(c.text, c.weight, c.role.value, c.axis) for c in rubric.criteria] == [
        ("Says to ask a doctor.", 10.0, "explicit", "completeness"),
        ("Gives a wrong dose.", -8.0, "negative", ""),
    ]


def test_health_bench_is_judged_on_a_completion_or_on_the_ideal_one(write: Write) -> None:
    ideal = {
        "ideal_completion": "Yes.",
        "ideal_completions_group": "Group 1",
        "ideal_completions_ref_completions": None,
    }
    chat = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    cases = read_cases(
        write(
            [
                {**HEALTH_BENCH, "prompt_id": "a", "ideal_completions_data": ideal},
                {**HEALTH_BENCH, "prompt_id": "b", "completion": "No.", "prompt": chat},
            ]
        )
    )
    assert [(case.report, case.query) for case in cases] == [
        ("Yes.", "Is it safe?"),
        ("No.", "user: Hi\n\nassistant: Hello"),
    ]
    assert faults_of(write(HEALTH_BENCH)) == ["1: completion: is missing"]


def test_the_physicians_majority_is_the_label_of_health_bench_meta_evaluation(write: Write) -> None:
    line = {
        "prompt": HEALTH_BENCH["prompt"],
        "prompt_id": "1f54",
        "completion": "Ask a doctor.",
        "completion_id": "z",
        "rubric": "Says to ask a doctor.",
        "category": "cluster:hedging",
        "anonymized_physician_ids": ["p", "q"],
    }
    warnings: list[Fault] = []
    cases = read_cases(
        write(
            [
                {**line, "binary_labels": [True, True]},
                {**line, "binary_labels": [True, False]},
                {**line, "binary_labels": [True, False, False]},
            ]
        ),
        labelled=True,
        on_warning=warnings.append,
    )
    assert [(case.id, case.criteria[0].label) for case in cases] == [
        ("z:1", Label.FULLY_SATISFIED),
        ("z:3", Label.NOT_SATISFIED),
    ]
    assert "1 of 2 physicians" in str(warnings[0])
    assert faults_of(write({**line, "binary_labels": [1]})) == [
        "1: binary_labels: must be a list of booleans, and not an empty one"
    ]


def test_a_task_with_several_reports_is_one_case_each(write: Write) -> None:
    task = {
        "id": "t",
        "query": "q",
        "topic": "Law",
        "criteria": [{"text": "t", "weight": 0.045}, {"text": "u", "weight": 0}],
        "reports": [{"model": "m", "text": "one"}, {"text": "two"}],
    }
    warnings: list[Fault] = []
    cases = read_cases(write(task), on_warning=warnings.append)
    assert [(case.id, case.report, len(case.criteria)) for case in cases] == [("t/m", "one", 1), ("t/2", "two", 1)]
    assert len(warnings) == 1
    [rubric] = read_rubrics(write({**task, "reports": []}), on_warning=warnings.append)
    assert rubric.domain == "Law"
    assert faults_of(write({**task, "reports": []}), on_warning=warnings.append) == [
        "1: reports: is empty: a rubric without a report is no case"
    ]


def test_the_examples_of_the_documentation_load(write: Write) -> None:
    text = (Path(__file__).parents[3] / "docs" / "formats.md").read_text(encoding="utf-8")
    blocks = [textwrap.dedent(block) for block in re.findall(r"(?:^    .*\n)+", text, re.MULTILINE)]
    cases = [block for block in blocks if block.startswith("{")]
    rubrics = [block for block in blocks if block.startswith("query:")]
    assert len(cases) == len(rubrics) == 1
    assert len(read_cases(write(cases[0], "case.json"))[0].criteria) == 3
    assert len(read_rubric(write(rubrics[0], "rubric.yaml"))) == 2


def test_reading_json_imports_neither_yaml_nor_torch(write: Write) -> None:
    path = write(CASE)
    code = (
        "import sys; from judger.rubric import read_cases; "
        f"read_cases({str(path)!r}); assert not {{'yaml', 'torch', 'numpy'}} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
