"""The cases: stretches of the demo's reports, and its requirements. Without flaws: one peer has no negative weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import judger.demo

__all__ = ["cases"]

DEMO = Path(judger.demo.__file__).parent / "cases.jsonl"


def cases(number: int, *, words: int, criteria: int, first: int = 0) -> list[dict[str, Any]]:
    """Cases from the `first` one on, whose reports share no beginning; more criteria than the demo has ask again."""
    demo = [json.loads(line) for line in DEMO.read_text(encoding="utf-8").splitlines()]
    all_words = [word for case in demo for word in case["report"].split()]
    texts = [one["text"] for case in demo for one in case["criteria"] if one.get("weight", 1) > 0]
    wanted = [texts[i % len(texts)] + (" Its first part says so." * (i // len(texts))) for i in range(criteria)]
    made = []
    for i in range(first, first + number):
        start = 487 * i % len(all_words)
        report = f"Report {i}. " + " ".join((all_words[start:] + all_words * (1 + words // len(all_words)))[:words])
        made.append({"id": f"case-{i}", "query": demo[0]["query"], "report": report, "criteria": wanted})
    return made
