"""Files of pairs: two reports on one query, a line each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from judger.cli.duels import Duel
from judger.rubric.fields import Fields, is_object
from judger.rubric.place import Faults, shown
from judger.rubric.shapes import OURS, read_criteria
from judger.rubric.source import read_values
from judger.types import LIMITS, Criterion
from judger.validate import text_fault

__all__ = ["Pair", "read_pairs"]


@dataclass(frozen=True, slots=True)
class Pair:
    """One line: the question, and the text of the object that it was read from."""

    duel: Duel
    line: int
    text: str


def read_pairs(
    path: Path, *, rubric: Sequence[Criterion] | None = None, a: str = "report_a", b: str = "report_b"
) -> list[Pair]:
    """The pairs of a file: `id`, `query`, two reports under the keys `a` and `b`, and perhaps `criteria`, `language`.

    A `rubric` takes the place of every line's own criteria. Raises InvalidFile with every fault of the file.
    """
    faults = Faults.of(path, None)
    pairs: list[Pair] = []
    seen: dict[str, int] = {}
    for value, place in read_values(path, faults):
        if not is_object(value, place):
            continue
        fields = Fields(value, place)
        fields.check_spelling([a, b, "query", "language"])
        before = len(faults.found)
        limits = {"id": LIMITS.criterion_bytes, a: LIMITS.report_bytes, b: LIMITS.report_bytes}
        texts: dict[str, str] = {}
        for key, limit in limits.items():
            text = fields.text(key, required=True)
            if text is not None and (reason := text_fault(text, limit)):
                place.fault(reason, key)
            texts[key] = text or ""
        for key, limit in {"query": LIMITS.query_bytes, "language": LIMITS.criterion_bytes}.items():
            texts[key] = fields.text(key) or ""
            if reason := text_fault(texts[key], limit, may_be_blank=True):
                place.fault(reason, key)
        criteria = tuple(rubric or ())
        if rubric is None and "criteria" in value:
            criteria = read_criteria(fields.items("criteria") or [], place.at("criteria"), OURS)
        name = texts["id"]
        if name and name in seen:
            place.fault(f"{shown(name)} is a duplicate: line {seen[name]} has it already", "id")
        seen.setdefault(name, place.line)
        if len(faults.found) == before:
            duel = Duel(
                id=name, query=texts["query"], a=texts[a], b=texts[b], criteria=criteria, language=texts["language"]
            )
            pairs.append(Pair(duel, place.line, place.source))
    faults.check()
    return pairs
