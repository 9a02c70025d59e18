"""Runs out of files, and the commands that write pages."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from judger.errors import InvalidFile
from judger.http.desk import MOST_ENTRIES, Desk
from judger.http.parts import lines_of
from judger.pages import Growing, PeopleFile, export, load_run
from judger.pages.people import PersonsVerdict
from judger.types import Label
from judger.v1 import judger_pb2 as pb
from tests.judger.cli.conftest import SCRIPTED, Run, case, run, write

__all__ = ["run"]


def data_of(path: Path) -> dict:
    """The JSON in a page."""
    text = path.read_text(encoding="utf-8")
    return json.loads(text.split('id="data">', 1)[1].split("</script>", 1)[0])


@pytest.fixture
def judged(run: Run, tmp_path: Path) -> Path:
    rows = [case("a", "[[fully]]", {"text": "[[unscored=too_long]]"}), case("b", "[[not]]", domain="d", system="s")]
    out = tmp_path / "run.jsonl"
    source = write(tmp_path / "cases.jsonl", *rows)
    run("filter", source, "-o", out, "--min-reward", "-9", "--keep-unscored", "--evidence-text", *SCRIPTED)
    return out


def test_a_run_grows_is_torn_and_is_begun_anew(judged: Path, tmp_path: Path) -> None:
    first, second = judged.read_bytes().splitlines(keepends=True)
    path = tmp_path / "growing.jsonl"
    path.write_bytes(first + second[:-9])
    growing = Growing(path)
    assert (growing.look(), growing.look()) == (1, 0)
    with open(path, "ab") as file:
        file.write(second[-9:] + b"{broken\n")
    assert growing.look() == 1
    assert [str(fault).split(": ")[0] for fault in growing.faults] == [f"{path}:3"]
    assert [(entry.system, entry.domain) for entry in growing.run.entries] == [("", ""), ("s", "d")]
    path.write_bytes(second)
    growing.look()
    assert (growing.epoch, [entry.key for entry in growing.run.entries]) == (1, ["s/b"])
    path.write_bytes(first + b"{broken\n")
    with pytest.raises(InvalidFile, match=":2"):
        load_run(path)


def test_a_run_is_read_compressed_and_as_a_table_too(judged: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    import pyarrow
    import pyarrow.parquet

    plain = [entry.to_json() for entry in load_run(judged).entries]
    folder = tmp_path / "packed"
    folder.mkdir()
    packed = folder / "run.jsonl.gz"
    packed.write_bytes(gzip.compress(judged.read_bytes()))
    assert [entry.to_json() for entry in load_run(packed).entries] == plain
    rows = [json.loads(line) for line in judged.read_text().splitlines()]
    table = folder / "table.parquet"
    names = dict.fromkeys(name for row in rows for name in row)
    full = [{name: row.get(name) for name in names} for row in rows]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(full), table)
    assert [entry.key for entry in load_run(table).entries] == ["a", "s/b"]
    first = judged.read_bytes().splitlines(keepends=True)[0]
    (folder / "other.jsonl.gz").write_bytes(gzip.compress(first))
    table.unlink()
    assert [entry.key for entry in load_run(folder).entries] == ["other/a", "run/a", "s/b"]
    growing = Growing(packed)
    assert (growing.look(), growing.look(), growing.epoch) == (2, 0, 0)
    packed.write_bytes(gzip.compress(judged.read_bytes().splitlines(keepends=True)[0]))
    growing.look()
    assert (growing.epoch, [entry.key for entry in growing.run.entries]) == (1, ["a"])
    packed.write_bytes(packed.read_bytes()[:-9])
    with pytest.raises(InvalidFile, match=r"run\.jsonl\.gz"):
        load_run(packed)


def test_a_label_that_is_not_the_likeliest_says_why_in_json_and_page(run: Run, tmp_path: Path) -> None:
    source = write(tmp_path / "cases.jsonl", case("a", "[[p=0.4,0.12,0.48]]", "[[fully]]"))
    out = tmp_path / "run.jsonl"
    run("score", source, "-o", out, "--keep-cases", "--evidence-text", *SCRIPTED)
    told = ["fully has 48%, under its 50%; else not 40%, partially 12%", None]
    verdicts = json.loads(out.read_text())["judgement"]["verdicts"]
    assert [verdict["score"].get("why") for verdict in verdicts] == told
    [entry] = load_run(out).entries
    assert [verdict["score"].get("why") for verdict in entry.to_json()["judgement"]["verdicts"]] == told


def test_a_run_that_is_complete_is_read_to_its_end(judged: Path, tmp_path: Path) -> None:
    lines = judged.read_text(encoding="utf-8").splitlines()
    run = tmp_path / "whole.jsonl"
    run.write_text("\n".join(lines), encoding="utf-8")  # the last line has no end of its own
    assert len(load_run(run).entries) == len(lines)
    run.write_text("\n".join(lines)[:-20], encoding="utf-8")
    with pytest.raises(InvalidFile, match="is not JSON"):
        load_run(run)
    growing = Growing(run)
    assert (growing.look(), growing.faults) == (len(lines) - 1, [])


def test_a_folder_holds_a_system_a_file(judged: Path, tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    folder.mkdir()
    first = judged.read_bytes().splitlines(keepends=True)[0]
    for name in ("x", "y"):
        (folder / f"{name}.jsonl").write_bytes(first)
    assert [entry.key for entry in load_run(folder).entries] == ["x/a", "y/a"]


def test_judger_page_shows_runs_and_responses_beside_their_cases(run: Run, judged: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.html"
    assert run("page", judged, "-o", out, "--against", judged).code == 0
    data = data_of(out)
    assert data["overview"]["unscored"] == {"too_long": 1}
    assert data["against"]["paired"]["moves"] == {"same": 2, "unscored on a side": 1}
    cases, responses = tmp_path / "cases.jsonl", tmp_path / "responses.jsonl"
    run("score", cases, "-o", responses, *SCRIPTED)
    assert run("page", responses, "--cases", cases, "-o", out).code == 0
    assert [entry["id"] for entry in data_of(out)["entries"]] == ["a", "b"]
    ran = run("page", responses, "-o", out)
    assert (ran.code, "--cases" in ran.err) == (2, True)
    ran = run("page", cases, "-o", cases)
    assert (ran.code, "destroy" in ran.err) == (2, True)


def test_monitors_are_on_the_page_and_in_its_export(run: Run, tmp_path: Path) -> None:
    flaw = {"text": "flaw [[fully]]", "weight": 0, "role": "negative"}
    cases = write(tmp_path / "cases.jsonl", case("a", "[[fully]]", {"text": "[[not]]", "weight": 0}, flaw))
    judged, responses, out = (tmp_path / name for name in ("run.jsonl", "responses.jsonl", "out.html"))
    assert run("score", cases, *SCRIPTED, "--monitors", "-o", judged, "--keep-cases").code == 0
    assert run("score", cases, *SCRIPTED, "--monitors", "-o", responses).code == 0
    for argv in ((judged,), (responses, "--cases", cases)):
        assert run("page", *argv, "-o", out).code == 0
        data = data_of(out)
        assert [one["weight"] for one in data["entries"][0]["criteria"]] == [1, 0, 0]
        assert data["overview"]["all"]["reward"]["value"] == 1.0
    people = {
        ("a", name): PersonsVerdict(case="a", criterion=name, label=Label.FULLY_SATISFIED) for name in ("c2", "c3")
    }
    labelled = tmp_path / "labelled.jsonl"
    labelled.write_text("".join(line + "\n" for line in export(load_run(judged).entries, people)), encoding="utf-8")
    details = run("agree", labelled, *SCRIPTED, "--json", "--resamples", "20")
    assert details.code == 0
    assert details.lines[0]["sources"]["labelled"]["n"] == 2


def test_a_page_that_catches_up_has_figures_first_and_last(judged: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in judged.read_text().splitlines()[:1]]
    path = write(tmp_path / "long.jsonl", *({**row, "id": str(i)} for row in rows for i in range(MOST_ENTRIES * 2 + 1)))
    desk = Desk(Growing(path), PeopleFile(tmp_path / "people.jsonl"))
    told = [desk.news(-1, 0), *(desk.news(0, MOST_ENTRIES * i) for i in (1, 2))]
    assert [len(one["entries"]) for one in told] == [MOST_ENTRIES, MOST_ENTRIES, 1]
    assert [one["overview"] and one["overview"]["cases"] for one in told] == [201, None, 201]
    assert desk.news(0, MOST_ENTRIES * 2 + 1)["overview"] is None


def test_score_agree_and_eval_write_the_page_beside_what_they_print(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "out.html"
    rows = [case(str(i), {"text": f"{i} [[fully]]", "label": "fully_satisfied"}) for i in range(3)]
    cases = write(tmp_path / "cases.jsonl", *rows)
    assert run("score", cases, *SCRIPTED, "--json", "--html", out).code == 0
    data = data_of(out)
    assert (data["judge"]["engine"], data["overview"]["all"]["reward"]["value"]) == ("scripted", 1.0)
    assert run("agree", cases, *SCRIPTED, "--json", "--resamples", "20", "--html", out).code == 0
    assert data_of(out)["agreement"]["confusion"] == [[0, 0, 0], [0, 0, 0], [0, 0, 3]]
    rubric = {"sample_id": "t", "prompt": "?", "domain": "Law", "rubrics": [{"criterion": "[[fully]]", "weight": 2}]}
    rubrics = write(tmp_path / "rubrics.jsonl", rubric, rubric | {"sample_id": "u"})
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "t.md").write_text("A report.")
    flags = ("--rubrics", rubrics, "--reports", tmp_path / "reports", "--html", out, "--json")
    assert run("eval", "researchrubrics", *flags, *SCRIPTED).code == 0
    data = data_of(out)
    assert (data["entries"][0]["domain"], data["notes"]) == ("Law", ["reports: 1 task without a report left out: u"])
    ran = run("score", cases, *SCRIPTED, "--against", cases)
    assert (ran.code, "--html" in ran.err) == (2, True)


async def test_the_parts_of_a_rubric_are_asked_once_each_and_make_the_whole() -> None:
    from judger import wire
    from judger.engines.scripted import ScriptedEngine
    from judger.judge import Judge

    judge = Judge(ScriptedEngine())
    asked: list[str] = []

    async def one(request: pb.JudgeRequest) -> pb.JudgeResponse:
        asked.extend(criterion.id for criterion in request.criteria)
        case_, options = wire.read_request(request)
        return wire.write_response(await judge.judge(case_, options))

    said = ("fully", "not", "partially", "fully", "fully")
    request = pb.JudgeRequest(report="r", criteria=[pb.Criterion(text=f"{i} [[{w}]]") for i, w in enumerate(said)])
    lines = [json.loads(line) async for line in lines_of(request, one)]
    direct = json.loads(wire.to_json(await one(request)))
    await judge.close()
    assert [len(line["verdicts"]) for line in lines] == [1, 2, 2, 5]
    assert asked[:5] == ["c1", "c2", "c3", "c4", "c5"]
    assert lines[-1]["verdicts"] == direct["verdicts"] == [v for line in lines[:-1] for v in line["verdicts"]]
    assert lines[-1]["reward"] == direct["reward"]
