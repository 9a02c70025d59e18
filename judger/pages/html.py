"""The page as one file: style, script and data inside it, nothing asked for from outside.

What reports and rubrics say can't run: Jinja2 escapes what it puts into the template, the data are JSON with `<`, `>`
and `&` as escapes in a block that is no script, the script puts texts into the page as text alone, and the policy
lets nothing run but the one script whose digest it names.
"""

from __future__ import annotations

import base64
import hashlib
import os
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from judger.errors import InvalidRequest
from judger.pages.figures import overview, paired
from judger.pages.people import Labels, panel
from judger.pages.runs import Entry, Run
from judger.version import __version__

__all__ = ["page_policy", "render_page", "run_data", "write_page"]

SCRIPTS = ("base", "report", "filter", "case", "list", "overview", "people", "judge", "main")
"""Concatenated in this order into one script."""


@cache
def _part(name: str) -> str:
    return resources.files("judger").joinpath("pages", "page", name).read_text(encoding="utf-8")


@cache
def _script() -> str:
    whole = "\n".join(_part(f"{name}.js") for name in SCRIPTS)
    return f'"use strict";\n(() => {{\n{whole}\n}})();\n'


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def page_policy(*, live: bool) -> str:
    """The content security policy: our one script and style by their digests, and where live, our own server."""
    connect = "'self'" if live else "'none'"
    return (
        f"default-src 'none'; script-src {_digest(_script())}; style-src {_digest(_part('page.css'))}; "
        f"worker-src blob:; connect-src {connect}; img-src data:; base-uri 'none'; form-action 'none'"
    )


def render_page(data: dict[str, Any], *, title: str, live: bool = False) -> str:
    """The whole document. Raises InvalidRequest where Jinja2 is missing."""
    try:
        from jinja2 import Environment
    except ModuleNotFoundError as error:
        raise InvalidRequest("--html", "jinja2 is not installed: pip install 'checklist-judger[judge]'") from error
    from markupsafe import Markup

    template = Environment(autoescape=True).from_string(_part("page.html.jinja"))
    return template.render(
        title=title,
        policy=page_policy(live=live),
        style=Markup(_part("page.css")),
        script=Markup(_script()),
        data=data | {"live": live, "version": __version__},
    )


def run_data(run: Run, people: Labels | None = None, against: Run | None = None) -> dict[str, Any]:
    """What the page knows of a run. With `against`, each entry has the other run's beside it where the ids match."""
    people = people or {}
    others: dict[str, Entry] = {}
    if against is not None:
        for entry in against.entries:
            others.setdefault(entry.case.id, entry)
    entries, pairs = [], []
    for entry in run.entries:
        made = entry.to_json()
        other = others.get(entry.case.id)
        if other is not None:
            pairs.append((entry, other))
            made["other"] = other.to_json()
            if other.case.report == entry.case.report:
                made["other"]["report"] = None  # the same: not carried twice
        entries.append(made)
    if against is not None and not pairs:
        raise InvalidRequest("--against", f"{against.name} has no case of {run.name}: they are matched by id")
    return {
        "name": run.name,
        "judge": run.judge,
        "notes": run.notes,
        "entries": entries,
        "overview": overview(run.entries),
        "people": [said.model_dump(mode="json") for said in people.values()],
        "agreement": panel(run.entries, people),
        "against": None
        if against is None
        else {"name": against.name, "overview": overview(against.entries), "paired": paired(pairs)},
    }


def write_page(
    path: Path,
    run: Run,
    *,
    people: Labels | None = None,
    against: Run | None = None,
) -> None:
    """Writes the file in one step: a reader sees the old one or the new one. Raises OSError."""
    text = render_page(run_data(run, people, against), title=run.name)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
