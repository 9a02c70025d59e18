"""judger bench: an open loop that hides nothing, against real servers."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from judger.client import Settings
from judger.config import ServeConfig
from judger.engines.scripted import ScriptedEngine
from judger.load import Calls, Figures, Generator, Histogram, Sent
from judger.server.process import running
from judger.types import Case, Criterion, Options
from tests.judger.cli.conftest import JUDGER, Run, case, serving, write


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    return write(tmp_path / "cases.jsonl", case("a", "[[fully]]", "sky blue"), case("b", "[[not]]"))


def test_a_load_is_summed_up_and_every_call_is_kept(cases: Path, tmp_path: Path, run: Run) -> None:
    raw, picture = tmp_path / "raw.jsonl", tmp_path / "out.png"
    flags = ("--engine", "scripted", "--rate", 40, "--seconds", 1.5, "--deadline", 20, "--seed", 3, "--json")
    ran = run("bench", cases, *flags, "-o", raw, "--plot", picture)
    assert ran.code == 0, ran.err
    (figures,) = ran.lines
    rows = [json.loads(line) for line in raw.read_text().splitlines()]
    assert len(rows) == figures["calls"] == figures["codes"]["OK"] == figures["goodput"]["calls"] > 20
    assert sorted(row["index"] for row in rows) == list(range(len(rows)))
    assert figures["criteria"]["scored"] == sum(row["criteria"] for row in rows)
    assert figures["criteria"]["cached"] == 0  # each report is its own
    assert all(row["due"] <= row["sent"] <= row["ended"] for row in rows)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert run("bench", cases, *flags, "-o", raw).code == 0
    again = [json.loads(line) for line in raw.read_text().splitlines()]
    assert {row["index"]: row["due"] for row in again} == {row["index"]: row["due"] for row in rows}


def test_groups_and_repeated_cases_are_sent_as_asked(cases: Path, run: Run) -> None:
    flags = ("--engine", "scripted", "--concurrency", 2, "--seconds", 0.5, "--json")
    (figures,) = run("bench", cases, *flags, "--group", 3).lines
    assert figures["method"] == "JudgeGroup"
    assert figures["goodput"]["reports_per_second"] == pytest.approx(3 * figures["goodput"]["calls_per_second"])
    (figures,) = run("bench", cases, *flags, "--repeat").lines
    assert figures["criteria"]["cached"] >= figures["criteria"]["asked"] - 3 * 3


def test_what_is_refused_or_unscored_is_shown_and_ends_with_1(tmp_path: Path, run: Run) -> None:
    path = write(tmp_path / "cases.jsonl", case("a", "[[slow=0.2]] [[fully]]", "[[unscored=too_long]]"))
    ran = run("bench", path, "--engine", "scripted", "--rate", 5, "--seconds", 1, "--deadline", 20)
    assert ran.code == 1
    assert "TOO_LONG" in ran.out
    assert "0.0 calls a second whole and in time (0.0%)" in ran.out


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--rate", "0"), "no positive number"),
        (("--rate", "1e9"), "would send"),
        (("--rate", "1", "--concurrency", "1"), "not allowed with"),
        (("--concurrency", "0"), "--concurrency"),
        (("--group", "-1"), "--group"),
        (("--plot", "here.txt"), "must end in .png"),
        (("-o", "nowhere/raw.jsonl"), "there is no folder"),
        (("nowhere.jsonl",), "nowhere.jsonl"),
        (("--addr", "localhost:1", "--engine", "mini"), "leave out --engine"),
    ],
)
def test_wrong_usage_ends_with_2_before_any_load(flags: tuple[str, ...], said: str, run: Run) -> None:
    ran = run("bench", *flags)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


def test_nobody_at_the_address_ends_with_3(cases: Path, run: Run) -> None:
    ran = run("bench", cases, "--addr", "127.0.0.1:1", "--timeout", 2)
    assert ran.code == 3
    assert "can't be reached" in ran.err


def test_ctrl_c_shows_what_there_is(cases: Path, tmp_path: Path) -> None:
    raw = tmp_path / "raw.jsonl"
    with serving() as (address, _):
        command = [
            *JUDGER,
            "bench",
            str(cases),
            "--addr",
            address,
            "--rate",
            "100",
            "--seconds",
            "600",
            "--json",
            "-o",
            str(raw),
        ]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        ends = time.monotonic() + 60
        while (not raw.exists() or not raw.stat().st_size) and time.monotonic() < ends:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    kept = [json.loads(line)["code"] for line in raw.read_text().splitlines()]
    assert json.loads(out)["codes"]["OK"] == kept.count("OK") > 0


async def test_a_stalled_server_shows_in_latencies_from_the_instant_each_call_was_due() -> None:
    engine, rows = ScriptedEngine(), list[Sent]()
    stall = Case(id="a", query="", report="A report.", criteria=(Criterion(id="c", text="[[slow=0.02]] [[fully]]"),))
    config = ServeConfig(engine="scripted", port=0, grace=1, max_batch_tokens=1)
    async with running(config, engine) as server:
        calls = Calls([stall], Options())
        async with Generator(Settings(address=server.address), calls, on_sent=rows.append) as generator:
            await generator.open_loop(100.0, 1.0)
    # One call at a time, so that the last one ends no sooner than all of them take, however fast this machine is, and
    # it was due within the second: the rest of that time is its latency, whenever it came to be sent.
    assert 80 < len(rows) < 130
    last = max(rows, key=lambda row: row.ended)
    assert last.latency == pytest.approx(last.ended - last.due)
    assert last.latency > 0.02 * len(rows) - 1.0 > 0.6
    # Nobody waited with sending for the answer before.
    in_order = sorted(rows, key=lambda row: row.due)
    assert any(later.sent < earlier.ended for earlier, later in itertools.pairwise(in_order))


def test_percentiles_are_those_of_the_latencies_within_a_bucket() -> None:
    histogram = Histogram()
    assert histogram.percentile(50) is None
    for millisecond in range(1, 1001):
        histogram.add(millisecond / 1000)
    for percent in (50, 90, 99):
        assert histogram.percentile(percent) == pytest.approx(percent / 100, rel=0.03)
    assert histogram.percentile(100) == 1.0
    assert sum(bucket["calls"] for bucket in histogram.to_json()) == 1000


def test_a_call_that_we_ended_says_nothing_of_the_server() -> None:
    figures = Figures()
    common = {"index": 0, "case_id": "a", "due": 0.0, "sent": 0.0, "ended": 9.0, "detail": ""}
    figures.add(Sent(**common, code="STOPPED", in_time=False, reports=1, criteria=2, scored=0, cached=0))
    assert figures.criteria == 0
    assert figures.refused.counts == {}
    assert figures.codes["STOPPED"] == 1
