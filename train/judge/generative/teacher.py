"""Stage one: a strong model writes score and explanation for every (query, rubric, report), through the openai engine.

One JSON line a criterion goes to `teacher.jsonl`, with who wrote it. Interrupted, the stage goes on where it was: what
a teacher with the same identity has answered is not asked again; what failed on the way is.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, Literal

from judger.engines.base import Outcome, SelfBatching, Tier
from judger.prompt import LABELS
from judger.types import Case, Criterion, Explain, Label, Probabilities, Reason, Unscored
from train.judge.data import DataError
from train.judge.generative.data import Taught, key_of

CASES_AT_ONCE = 8
"""Enough that the engine's own limit of requests is what binds."""
UNSUPPORTED = "[unsupported quote:"


async def teach(cases: Sequence[Case], engine: SelfBatching, path: Path) -> None:
    """Appends a line to `path` for every criterion that this teacher has not answered yet.

    Raises judger's EngineError where the endpoint refuses altogether; what was answered before is kept.
    """
    teacher = provenance(engine)
    done = {row["key"] for row in read_rows(path) if row["teacher"]["judge_id"] == teacher["judge_id"]}
    queue: asyncio.Queue[Case] = asyncio.Queue()
    for case in cases:
        left = tuple(criterion for criterion in case.criteria if key_of(case, criterion) not in done)
        if left:
            queue.put_nowait(replace(case, criteria=left))

    async def work(file: IO[str]) -> None:
        while not queue.empty():
            case = queue.get_nowait()
            outcomes = await engine.judge(case, Tier(explain=Explain.ALWAYS))
            for criterion, outcome in zip(case.criteria, outcomes, strict=True):
                if (row := row_of(case, criterion, outcome)) is not None:
                    file.write(json.dumps(row | {"teacher": teacher}, ensure_ascii=False) + "\n")
            file.flush()

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(CASES_AT_ONCE):
                    group.create_task(work(file))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None


def provenance(engine: SelfBatching) -> dict[str, str]:
    """Who teaches: the model, and the digest of model, prompt and settings."""
    return {"model": engine.identity.weights, "judge_id": engine.identity.judge_id(engine.calibration)}


def row_of(case: Case, criterion: Criterion, outcome: Outcome) -> dict[str, Any] | None:
    """One line of the file; None for a failure on the way, which is asked again next time."""
    head = {"key": key_of(case, criterion), "case": case.id, "criterion": criterion.id}
    if isinstance(outcome.result, Unscored):
        if outcome.result.reason is Reason.ENGINE_ERROR:
            return None
        return head | {"unscored": outcome.result.reason.value}
    quotes = [" ".join(case.report[span.start : span.end].split()) for span in outcome.evidence]
    return head | {
        "label": most_likely(outcome.result).value,
        "human": None if criterion.label is None else criterion.label.value,
        "reason": outcome.rationale or "",
        "quote": quotes[0] if quotes else "",
        "prompt_tokens": outcome.prompt_tokens,
    }


def most_likely(result: Probabilities) -> Label:
    """The label of the highest probability."""
    values = (result.p_not, result.p_partial, result.p_full)
    return LABELS[values.index(max(values))]


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The lines of a teacher's file; a last line that a crash cut off is taken off the file.

    Raises DataError.
    """
    if not path.exists():
        return []
    text = path.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    if whole != text:
        path.write_bytes(whole)
    rows = []
    for number, line in enumerate(whole.decode("utf-8").splitlines(), 1):
        try:
            rows.append(json.loads(line))
        except ValueError as error:
            raise DataError(f"{path}:{number}: {error}") from None
    return rows


def lessons(
    rows: Sequence[Mapping[str, Any]], *, disagreeing: Literal["drop", "keep"] = "drop"
) -> tuple[dict[str, Taught], dict[str, int]]:
    """What there is to learn, by key, and how many rows were taken or left out, by why.

    Left out: replies off the format, quotes that the report does not contain, and with `drop` labels that are not the
    person's. Where a criterion was taught twice, the later row counts.
    """
    taught: dict[str, Taught] = {}
    counts: Counter[str] = Counter()
    for row in {row["key"]: row for row in rows}.values():
        if "unscored" in row:
            counts[row["unscored"]] += 1
        elif UNSUPPORTED in row["reason"]:
            counts["unsupported_quote"] += 1
        elif row["human"] not in (None, row["label"]) and disagreeing == "drop":
            counts["disagrees"] += 1
        else:
            counts["taken"] += 1
            taught[row["key"]] = Taught(LABELS.index(Label(row["label"])), row["reason"], row["quote"])
    return taught, dict(sorted(counts.items()))
