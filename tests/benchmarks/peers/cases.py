"""The cases: stretches of the demo's reports, and its requirements. Without flaws: one peer has no negative weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import judger.demo

__all__ = ["cases"]

DEMO = Path(judger.demo.__file__).parent / "cases.jsonl"


def cases(number: int, *, words: int, criteria: int, mark: str = "A") -> list[dict[str, Any]]:
    """Cases whose reports share no beginning; more criteria than the demo has ask again.

    With another `mark` they are the same, but for their first words: nobody finds another's prefix cached.
    """
    demo = [json.loads(line) for line in DEMO.read_text(encoding="utf-8").splitlines()]
    all_words = [word for case in demo for word in case["report"].split()]
    texts = [one["text"] for case in demo for one in case["criteria"] if one.get("weight", 1) > 0]
    wanted = [texts[i % len(texts)] + (" Its first part says so." * (i // len(texts))) for i in range(criteria)]
    made = []
    for i in range(number):
        start = 487 * i % len(all_words)
        report = f"Report {mark}{i}. " + " ".join(
            (all_words[start:] + all_words * (1 + words // len(all_words)))[:words]
        )
        made.append({"id": f"case-{mark}{i}", "query": demo[0]["query"], "report": report, "criteria": wanted})
    return made
