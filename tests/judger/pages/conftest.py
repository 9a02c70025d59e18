"""Runs to look at, and a real browser to look with."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from judger.pages import Entry
from judger.reward import reward
from judger.types import Case, Criterion, Judgement, Label, Probabilities, Reason, Span, Unscored, Usage
from judger.verdict import verdict

CHROMIUM = shutil.which("chromium")
HOSTILE = "</script><script>document.title='run'</script><img src=x onerror=\"document.title='run'\">"


def criterion(identifier: str, text: str, weight: float = 1.0, axis: str = "", label: Label | None = None) -> Criterion:
    return Criterion(id=identifier, text=text, weight=weight, axis=axis, label=label)


def entry(
    identifier: str,
    report: str,
    said: list[tuple[Criterion, tuple[float, float, float] | Unscored, tuple[Span, ...]]],
    **more: Any,
) -> Entry:
    """A judged case: criteria with the probabilities that were given, and where."""
    criteria = tuple(one for one, _, _ in said)
    verdicts = tuple(
        verdict(one, given if isinstance(given, Unscored) else Probabilities(*given), evidence=spans)
        for one, given, spans in said
    )
    flags = more.pop("flags", ())
    case = Case(id=identifier, query="Which colours?", report=report, criteria=criteria)
    made = Judgement(
        case_id=identifier,
        verdicts=verdicts,
        reward=reward(criteria, verdicts),
        judge_id="judge-1",
        usage=Usage(prompt_tokens=100, shared_tokens=60, engine_seconds=0.5),
        flags=flags,
    )
    return Entry(case=case, judgement=made, **more)


def some_entries() -> list[Entry]:
    """Four reports: a close call, a flaw, something unscored, and one that attacks the page."""
    sky = "# Colours 🎨\n\nThe sky is **blue**.\n\nGrass is green."
    blue, green = sky.index("The sky"), sky.index("Grass")
    end = len(sky)
    return [
        entry(
            "sky",
            sky,
            [
                (criterion("blue", "Says that the sky is blue", 2, "facts"), (0.2, 0.2, 0.6), (Span(blue, blue + 20),)),
                (criterion("green", "Says that grass is green", 1, "facts"), (0.4, 0.12, 0.48), (Span(green, end),)),
                (criterion("red", "Claims that the sky is red", -1, "style"), (0.9, 0.05, 0.05), ()),
            ],
            domain="nature",
        ),
        entry(
            "wrong",
            "The sky is red.",
            [
                (criterion("blue", "Says that the sky is blue", 2, "facts"), (0.95, 0.03, 0.02), ()),
                (criterion("red", "Claims that the sky is red", -1, "style"), (0.02, 0.08, 0.9), (Span(0, 15),)),
            ],
            domain="nature",
        ),
        entry(
            "open",
            "Nothing here.",
            [(criterion("c1", "Is long", 1), Unscored(Reason.NOT_JUDGEABLE, "no idea"), ())],
        ),
        entry(
            f"evil {HOSTILE}",
            f"{HOSTILE}\n\n<!-- {{{{ 7 * 7 }}}} ]]> \u2028 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!",
            [(criterion("c1", HOSTILE, 1, HOSTILE), (0.1, 0.1, 0.8), (Span(0, 9),))],
            flags=(HOSTILE,),
            domain=HOSTILE,
        ),
    ]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's chromium, headless. A module's, not the session's: playwright keeps a loop running in this thread, and
    other modules' tests have loops of their own."""
    if CHROMIUM is None:
        pytest.skip("there is no chromium: apt-get install chromium")
    sync_api = pytest.importorskip("playwright.sync_api")
    sync_api.expect.set_options(timeout=60_000)  # a busy machine: what is waited for comes, but late
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page of its own; errors and requests to anywhere but a loopback address fail the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(60_000)
    seen: list[str] = []
    opened = context.new_page()
    opened.on("pageerror", lambda error: seen.append(str(error)))
    opened.on("request", lambda request: seen.append(request.url) if not is_local(request.url) else None)
    yield opened
    context.close()
    assert seen == []


def is_local(url: str) -> bool:
    return url.startswith(("file:", "blob:", "data:", "http://127.0.0.1:", "http://localhost:"))


def written(folder: Path, **more: Any) -> str:
    """A page of `some_entries` as a file; its URL."""
    from judger.pages import Run, write_page

    path = folder / "run.html"
    write_page(path, Run(name="run", entries=some_entries()), **more)
    return path.as_uri()
