"""Cases of any size, for loads that real reports are too few or too long for."""

from __future__ import annotations

import json
import random
from pathlib import Path

from judger.types import Case, Criterion, Role

WORDS = tuple(
    "the report of a study on market growth energy policy cost model data price city water health risk supply chain "
    "2024 2025 percent million trend analysis source evidence method result table figure region demand capacity".split()
)


def cases(number: int, *, words: int, criteria: int, seed: int | str) -> list[Case]:
    """Cases with reports of so many words, all under one rubric of which a fifth are flaws."""
    chance = random.Random(seed)
    rubric = tuple(
        Criterion(
            id=f"c{i}",
            text=f"The report explains the {WORDS[i % len(WORDS)]} of {' '.join(chance.choices(WORDS, k=12))}",
            weight=1.0 if i % 5 else -1.0,
            role=Role.EXPLICIT if i % 5 else Role.NEGATIVE,
        )
        for i in range(criteria)
    )
    return [
        Case(id=str(i), query="How large is it?", report=" ".join(chance.choices(WORDS, k=words)), criteria=rubric)
        for i in range(number)
    ]


def write(path: Path, made: list[Case]) -> Path:
    """The cases as a file."""
    with path.open("w") as file:
        for case in made:
            rubric = [{"id": one.id, "text": one.text, "weight": one.weight} for one in case.criteria]
            line = {"id": case.id, "query": case.query, "report": case.report, "criteria": rubric}
            file.write(json.dumps(line) + "\n")
    return path
