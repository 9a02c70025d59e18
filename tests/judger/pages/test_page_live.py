"""`judger ui` as a process of its own, with a real browser before it."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from judger.server.callers import new_token
from tests.judger.cli.conftest import JUDGER, SCRIPTED, case, write
from tests.ports import free_port

REPORT = "The sky is blue. Grass is green."


@contextlib.contextmanager
def ui(*argv: object) -> Iterator[str]:
    """`judger ui` with the scripted judge; its URL."""
    command = [*JUDGER, "ui", *map(str, argv), *SCRIPTED, "--listen", f"127.0.0.1:{free_port()}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert line.startswith("judger: page on http://127.0.0.1:"), line + process.stderr.read()
        yield line.split()[-1]
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=120)
    assert process.returncode == 0


def judged(folder: Path, *rows: dict) -> list[str]:
    """The lines of a run of these cases."""
    source, out = write(folder / "cases.jsonl", *rows), folder / "made.jsonl"
    command = [*JUDGER, "filter", str(source), "-o", str(out), "--min-reward", "-9", "--keep-unscored", "--restart"]
    subprocess.run([*command, *SCRIPTED], check=True, capture_output=True, timeout=120)
    return out.read_text(encoding="utf-8").splitlines(keepends=True)


def test_what_is_pasted_is_judged_and_two_reports_are_compared(page: Any) -> None:
    with ui() as url:
        page.goto(url)
        expect(page.locator("#top nav button")).to_have_text(["Judge"])
        page.get_by_label("Report", exact=True).fill(REPORT)
        page.get_by_label("Rubric").fill("+3 sky\n-2 [[not]] nonsense\nGrass")
        page.get_by_role("button", name="Judge").last.click()
        expect(page.locator(".case .row")).to_have_count(3)
        expect(page.locator(".reward strong")).to_have_text("1.00")
        page.locator(".row", has_text="sky").locator(".row-main").click()
        expect(page.locator("mark.on").first).to_be_visible()
        page.get_by_label("Compare two reports").check()
        page.get_by_label("Report B").fill("Nothing of it.")
        page.get_by_role("button", name="Judge").last.click()
        expect(page.locator(".preference")).to_have_text("A is better by 1.00.")
        page.get_by_label("Rubric").fill("")
        page.get_by_role("button", name="Judge").last.click()
        # Two reports without a rubric: the judge is asked for its pairwise prompt, and this one has none.
        expect(page.get_by_role("alert")).to_contain_text("compares by criteria only")
        page.get_by_label("Compare two reports").uncheck()
        page.get_by_role("button", name="Judge").last.click()
        expect(page.get_by_role("alert")).to_have_text("The rubric is empty.")
        page.get_by_label("Rubric").fill('{"query": "What is it?", "criteria": [{"text": "sky"}]}')  # as files have it
        page.get_by_role("button", name="Judge").last.click()
        expect(page.locator("[name=query]")).to_have_value("What is it?")
        expect(page.locator(".case .row")).to_have_count(1)


def test_a_run_is_shown_while_it_grows_and_verdicts_come_back(page: Any, tmp_path: Path) -> None:
    lines = judged(tmp_path, case("one", "sky [[partially]]", "[[fully]] grass"), case("two", "[[not]] sea"))
    run = tmp_path / "run.jsonl"
    run.write_text(lines[0] + lines[1][:40], encoding="utf-8")  # the second is being written
    with ui(run) as url:
        page.goto(url + "/#/reports/one/c2")
        expect(page.locator(".item")).to_have_count(1)
        with open(run, "a", encoding="utf-8") as file:
            file.write(lines[1][40:])
        expect(page.locator(".item")).to_have_count(2)
        page.locator("[data-agree]").click()
        expect(page.locator(".human")).to_have_text("people: fully")
        page.locator("[data-criterion=c1] .row-main").click()
        page.keyboard.press("2")
        expect(page.locator(".human.off")).to_have_text("people: fully")
        page.get_by_label("Comment").fill("It is <b>there</b>.")
        page.get_by_label("Comment").blur()
        page.locator("[data-star]").click()
        expect(page.locator(".star")).to_have_count(1)
        page.get_by_role("button", name="Agreement").click()
        expect(page.locator(".confusion tbody tr").nth(2).locator("td")).to_have_text(["0", "1", "1"])
        expect(page.locator(".offs")).to_contain_text("It is <b>there</b>.")
        with page.expect_download() as found:
            page.get_by_role("button", name="Export labelled cases").click()
        (exported,) = Path(found.value.path()).read_text(encoding="utf-8").splitlines()
        labels = {one["id"]: one["label"] for one in json.loads(exported)["criteria"]}
        assert labels == {"c1": "fully_satisfied", "c2": "fully_satisfied"}
    kept = (tmp_path / "run.jsonl.people.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(kept[-1])["star"] is True
    with ui(run) as url:  # another day
        page.goto(url + "/#/reports/one/c1")
        expect(page.locator(".human.off")).to_have_count(1)


def test_strangers_pages_and_names_are_refused_and_tokens_are_those_of_grpc(tmp_path: Path) -> None:
    token, table = new_token("reader")
    (tmp_path / "tokens").write_text(table)
    run = tmp_path / "run.jsonl"
    run.write_text(judged(tmp_path, case("one", "sky"))[0], encoding="utf-8")
    good = {"authorization": f"Bearer {token}"}
    said = {"case": "one", "criterion": "c1", "label": "not_satisfied"}
    with ui(run, "--tokens", tmp_path / "tokens") as url:
        assert httpx.get(f"{url}/run").status_code == 401
        assert httpx.post(f"{url}/run/people", json=said).status_code == 401
        assert httpx.post(f"{url}/run/people", json=said, headers=good).json()["label"] == "not_satisfied"
        assert httpx.get(f"{url}/run", headers=good).json()["entries"][0]["id"] == "one"
        for headers in ({"host": "evil.example"}, {"origin": "http://evil.example"}, {"origin": "null"}):
            assert httpx.get(f"{url}/run", headers=good | headers).status_code == 403
        stranger = good | {"origin": "http://evil.example"}
        judge = {"report": "sky", "criteria": [{"text": "sky"}]}
        assert httpx.post(f"{url}/v1/judge", json=judge, headers=stranger).status_code == 403
        assert httpx.post(f"{url}/v1/judge", json=judge, headers=good | {"origin": url}).status_code == 200
        assert httpx.post(f"{url}/v1/judge", json=judge, headers=good | {"host": "a.name"}).status_code == 200
        for change in ({"criterion": "c9"}, {"label": "maybe"}, {"more": 1}):
            assert httpx.post(f"{url}/run/people", json=said | change, headers=good).status_code == 400
        policy = httpx.get(url).headers["content-security-policy"]
        assert "'unsafe-inline'" not in policy
        assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["/nowhere"], "is not there"),
        (["--cases", "x.jsonl"], "--cases"),
        (["--listen", "0.0.0.0:8080"], "not a loopback address"),
        (["--origin", "judge.internal"], "--origin"),
    ],
)
def test_a_setting_that_can_not_be_is_one_line(argv: list[str], said: str) -> None:
    command = [*JUDGER, "ui", *argv, *SCRIPTED]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 2
    assert said in ran.stderr.splitlines()[-1]
