"""The self-contained file, in a real browser."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from judger.pages import Run
from judger.types import Label
from tests.judger.pages.conftest import HOSTILE, some_entries, written


def test_a_run_is_shown_and_nothing_of_a_report_runs(page: Any, tmp_path: Path) -> None:
    page.goto(written(tmp_path))
    expect(page.locator("#top nav button")).to_have_text(["Overview", "Reports"])
    expect(page).to_have_title("run · judger")
    expect(page.locator(".big")).to_have_text("0.39")  # mean of 2/3, -1/2 and 1; one has none
    page.get_by_role("button", name="Reports").click()
    page.locator(".item", has_text="evil").click()
    page.locator(".row-main").click()
    expect(page.locator(".report")).to_contain_text(HOSTILE)
    expect(page).to_have_title("run · judger")
    expect(page.locator("#main img, #main script")).to_have_count(0)
    assert page.evaluate("document.scripts.length") == 2


def test_a_criterion_lights_up_its_evidence_and_the_reverse(page: Any, tmp_path: Path) -> None:
    page.goto(written(tmp_path) + "#/reports/sky")
    page.locator(".row", has_text="sky is blue").locator(".row-main").click()
    # Behind an emoji the offsets of code points and of UTF-16 part.
    shown = ["The sky is", "", "blue", "", "."]  # the asterisks are hidden
    expect(page.locator("mark.on")).to_have_text(shown, use_inner_text=True)
    page.locator("mark", has_text="Grass is green.").click()
    expect(page.locator(".row.on .statement")).to_have_text("Says that grass is green")
    expect(page).to_have_url(re.compile("#/reports/sky/green$"))
    page.reload()
    expect(page.locator("mark.on")).to_have_text(["Grass is green."])


def test_close_calls_come_first_and_the_bar_has_the_threshold(page: Any, tmp_path: Path) -> None:
    page.goto(written(tmp_path) + "#/reports")
    expect(page.locator(".item .name").first).to_have_text("sky")
    first = page.locator(".row").first
    expect(first.locator(".statement")).to_have_text("Says that grass is green")
    expect(first).to_contain_text("close call")
    told = "fully 48%, partially 12%, not 40%; counts as met from 50% on"
    expect(first.locator(".bar")).to_have_attribute("aria-label", told)
    why = "less than half: fully has 48%, under its 50%; else not 40%, partially 12%"
    expect(first.locator(".why")).to_have_text(why)


def test_modes_filters_keys_and_search_leave_what_fits(page: Any, tmp_path: Path) -> None:
    page.goto(written(tmp_path) + "#/reports")

    names = page.locator(".item .name")  # what is expected of it is waited for: the page filters in a worker

    page.locator("[data-mode=failures]").click()
    expect(names).to_have_text(["sky", "wrong"])
    expect(page.locator(".row")).to_have_count(1)  # of sky, the one that fails
    page.keyboard.press("f")
    expect(names).to_have_text(["open"])
    page.keyboard.press("f")
    page.keyboard.press("f")
    expect(names).to_have_text([re.compile("^evil")])
    page.locator("[data-mode=all]").click()
    page.keyboard.press("/")
    page.keyboard.type("GRASS")
    expect(page.locator(".item")).to_have_count(1)
    page.locator("#search").fill("sky is (red|mauve)\\.")
    page.locator("#regex").check()
    expect(page.locator(".shown")).to_have_text("1 of 4 reports")
    expect(names).to_have_text(["wrong"])
    page.locator("#search").fill("(sky")
    expect(page.locator(".filters .fault")).to_contain_text("no pattern")
    page.locator("#search").fill("(a+)+$")  # backtracks without an end on the last report
    expect(page.locator(".filters .fault")).to_contain_text("too long")
    assert page.evaluate("1 + 1") == 2
    page.locator("#search").fill("")
    expect(page.locator(".item")).to_have_count(4)
    page.get_by_label("Axis").select_option("=style")
    expect(names).to_have_text(["sky", "wrong"])


def test_csv_and_jsonl_are_behind_a_button(page: Any, tmp_path: Path) -> None:
    page.goto(written(tmp_path))
    with page.expect_download() as found:
        page.get_by_role("button", name="Download CSV").click()
    rows = list(csv.DictReader(io.StringIO(Path(found.value.path()).read_text(encoding="utf-8"))))
    assert len(rows) == 7
    assert (rows[0]["criterion"], rows[0]["label"], float(rows[0]["p_full"])) == ("blue", "fully_satisfied", 0.6)
    assert rows[5]["unscored"] == "not judgeable"
    with page.expect_download() as found:
        page.get_by_role("button", name="Download JSONL").click()
    lines = [json.loads(line) for line in Path(found.value.path()).read_text(encoding="utf-8").split("\n")[:-1]]
    assert lines == [json.loads(json.dumps(entry.to_json())) for entry in some_entries()]


def test_two_runs_begin_where_they_differ(page: Any, tmp_path: Path) -> None:
    others = some_entries()
    wrong = others[1]
    assert wrong.judgement is not None
    other = some_entries()[0].judgement
    assert other is not None
    verdicts = (replace(other.verdicts[0], criterion_id="blue"), wrong.judgement.verdicts[1])
    others[1] = replace(wrong, judgement=replace(wrong.judgement, verdicts=verdicts))
    page.goto(written(tmp_path, against=Run(name="second", entries=others)))
    expect(page.locator("#main")).to_contain_text("Beside second")
    page.get_by_role("button", name="Reports").click()
    expect(page.locator(".item .name").first).to_have_text("wrong")
    expect(page.locator(".row", has_text="sky is blue").locator(".moved")).to_have_text("→ fully")
    page.locator("[data-mode=disagreeing]").click()
    expect(page.locator(".item .name")).to_have_text(["wrong"])


def test_labels_have_an_agreement_panel(page: Any, tmp_path: Path) -> None:
    from judger.pages import write_page

    first, second, *_ = some_entries()
    criteria = [replace(one, label=Label.FULLY_SATISFIED) for one in first.case.criteria[:2]]
    labelled = replace(first, case=replace(first.case, criteria=(*criteria, first.case.criteria[2])))
    write_page(tmp_path / "agree.html", Run(name="agree", entries=[labelled, second]))
    page.goto((tmp_path / "agree.html").as_uri() + "#/agreement")
    expect(page.locator(".confusion tbody tr").nth(2).locator("td")).to_have_text(["1", "0", "1"])
    expect(page.locator(".offs li")).to_have_count(1)
    page.locator(".offs button").click()
    expect(page.locator(".row.on .statement")).to_have_text("Says that grass is green")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_on_a_phone(browser: Any, tmp_path: Path, scheme: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme=scheme)
    context.set_default_timeout(60_000)
    opened = context.new_page()
    opened.goto(written(tmp_path))
    is_narrow = "document.documentElement.scrollWidth <= innerWidth"
    expect(opened.locator(".big")).to_be_visible()
    assert opened.evaluate(is_narrow)
    opened.get_by_role("button", name="Reports").click()
    expect(opened.locator(".item")).to_have_count(4)
    assert opened.evaluate(is_narrow)
    opened.locator(".item", has_text="sky").first.click()
    opened.locator(".row", has_text="sky is blue").locator(".row-main").click()
    opened.get_by_role("button", name="show in report").click()
    expect(opened.locator("mark.on").first).to_be_visible()
    expect(opened.locator(".checklist")).to_be_hidden()
    assert opened.evaluate(is_narrow)
    dark = opened.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(22, 24, 27)"
    assert dark is (scheme == "dark")
    context.close()


def test_what_a_page_shows_is_waited_for_in_every_test() -> None:
    """The page draws after the click has returned: an answer taken at once is right on a quiet machine only."""
    at_once = re.compile(
        r"assert .*\.(inner_text|all_inner_texts|text_content|all_text_contents|count|is_\w+|title|get_attribute)\("
    )
    for path in Path(__file__).parent.glob("test_*.py"):
        assert at_once.findall(path.read_text(encoding="utf-8")) == [], path.name
