"""Inspect: `Task(..., scorer=checklist("localhost:50051"))`.

The rubric is the sample's `metadata["rubric"]`, else its target. What the judge gave no reward for is
`Score.unscored`: Inspect keeps it, with its reason, out of metrics and reducers (a dict of values would need the same
keys in every sample, so that verdicts go to the score's metadata). The judge is asked in a thread: Inspect may run on
trio, which no asyncio client can be awaited on.
"""

from __future__ import annotations

from typing import Any

import anyio.to_thread
from inspect_ai.scorer import Score, Scorer, Target, mean, scorer, stderr
from inspect_ai.solver import TaskState

from judger.integrations._common import Graded, Grader
from judger.types import Score as Scored

__all__ = ["checklist"]


@scorer(metrics=[mean(), stderr()])  # type: ignore[untyped-decorator]
def checklist(address: str = "localhost:50051", *, rubric: str = "rubric", **settings: Any) -> Scorer:
    """A scorer by the sample's checklist.

    Args:
        address: of the server; `settings` are those of `judger.integrations._common.Grader`, the lane is evaluation.
        rubric: the key of the rubric in a sample's metadata.
    """
    grader = Grader(address=address, **({"lane": "evaluation"} | settings))

    async def score(state: TaskState, target: Target) -> Score:
        report = state.output.completion
        criteria = (state.metadata or {}).get(rubric, target.text)
        graded = await anyio.to_thread.run_sync(lambda: grader.wait(grader.grade(state.input_text, report, criteria)))
        more = {"judge": _verdicts(graded)}
        if graded.value is None:
            reason = "no_response" if not report.strip() else "grader_failed"
            return Score.unscored(reason=reason, answer=report, explanation=graded.why, metadata=more)
        return Score(value=graded.value, answer=report, explanation=graded.why or None, metadata=more)

    return score


def _verdicts(graded: Graded) -> dict[str, Any]:
    """Label by criterion; None where there is none."""
    if graded.judgement is None:
        return {}
    labels = {
        one.criterion_id: one.result.label.value if isinstance(one.result, Scored) else None
        for one in graded.judgement.verdicts
    }
    return {"judge_id": graded.judgement.judge_id, "verdicts": labels, "flags": list(graded.judgement.flags)}
