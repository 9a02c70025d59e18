"""The files that the pages' commands name, small and whole."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.docs.blocks import ROOT

PUMP = (
    "A heat pump moves heat from the cold outside into a warm house. It does so with the refrigeration cycle: the "
    "refrigerant evaporates in the outdoor coil, a compressor raises its pressure, it condenses indoors and gives off "
    "its heat. Propane (R-290) is a common refrigerant. A heat pump does not create energy."
)
THIN = "Heat pumps are popular. Many people like them, and they come in several sizes and colours."
QUERY = "How do heat pumps work?"
CRITERIA = [
    {"id": "c1", "text": "Explains the refrigeration cycle", "weight": 3},
    {"id": "c2", "text": "Names at least one refrigerant", "weight": 1},
    {"id": "c3", "text": "Claims that heat pumps create energy", "weight": -4},
]


def write_workspace(folder: Path) -> None:
    """Everything, into an empty folder."""
    cases = [
        {"id": str(i), "query": QUERY, "report": text, "criteria": CRITERIA} for i, text in enumerate((PUMP, THIN))
    ]
    rubric = {"query": QUERY, "criteria": CRITERIA}
    for name in ("cases.jsonl", "my_cases.jsonl"):
        _lines(folder / name, cases)
    (folder / "rubric.json").write_text(json.dumps(rubric))
    (folder / "a.md").write_text(PUMP)
    (folder / "b.md").write_text(THIN)

    labels = (("fully_satisfied", "fully_satisfied"), ("not_satisfied", "not_satisfied"))
    labelled = []
    for i in range(20):
        text, found = (PUMP, labels[0]) if i % 2 else (THIN, labels[1])
        words = [*found, "not_satisfied"]
        criteria = [c | {"label": word} for c, word in zip(CRITERIA, words, strict=True)]
        labelled.append({"id": f"l{i}", "query": QUERY, "report": f"{text} This is report {i}.", "criteria": criteria})
    for name in ("labelled.jsonl", "run.jsonl.labelled.jsonl"):
        _lines(folder / name, labelled)

    tasks = [{"id": name, "query": QUERY, "criteria": CRITERIA} for name in ("t1", "t2")]
    published = [{"criterion": c["text"], "weight": c["weight"], "axis": "Explicit Criteria"} for c in CRITERIA]
    rows = [{"sample_id": t["id"], "prompt": QUERY, "domain": "Energy", "rubrics": published} for t in tasks]
    _lines(folder / "processed_data.jsonl", rows)
    fatal = [*CRITERIA[:2], CRITERIA[2] | {"fatal": True}]
    _lines(folder / "law.jsonl", [task | {"criteria": fatal} for task in tasks])
    _lines(folder / "tasks.jsonl", tasks)
    for system, text in (("ours", PUMP), ("theirs", THIN)):
        (folder / system).mkdir()
        for task in tasks:
            (folder / system / f"{task['id']}.md").write_text(text)
    for voter in ("anna", "bo"):
        sides = {"left": "ours", "right": "theirs", "dimension": "overall", "answer": "left", "voter": voter}
        _lines(folder / f"{voter}.jsonl", [{"task": task["id"]} | sides for task in tasks])

    _lines(folder / "pairs.jsonl", [{"id": "1", "query": QUERY, "report_a": PUMP, "report_b": THIN}])
    _lines(folder / "rewrites.jsonl", [{"id": "1", "query": QUERY, "report": PUMP, "original": THIN}])
    rollouts = [case | {"id": f"r{i}", "task": "pumps"} for i, case in enumerate([*cases, cases[0]])]
    _lines(folder / "rollouts.jsonl", rollouts)
    _table(folder / "cases.parquet", cases)

    # The page's own settings, with an endpoint in place of a model of some gigabytes.
    cascade = (ROOT / "docs" / "cascade.md").read_text(encoding="utf-8")
    (settings,) = re.findall(r"^```toml\n(.*?)^```$", cascade, re.MULTILINE | re.DOTALL)
    first, _ = settings.split("[[second]]")
    (folder / "cascade.toml").write_text(f'{first}[[second]]\nengine = "openai"\nmodel = "m"\nbase_url = "URL"\n')


def _lines(path: Path, rows: list[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _table(path: Path, rows: list[dict[str, object]]) -> None:
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
