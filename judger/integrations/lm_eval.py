"""lm-eval: a file beside the task's YAML with `process_results = process_results_of("localhost:50051")`, named there by
`process_results: !function my_file.process_results`.

The document has the rubric. What has no reward is NaN, and `checklist_unscored` counts it. The trap: lm-eval's `mean`
of a NaN is NaN, so the YAML says `aggregation: nanmean` for `checklist`; a document left out altogether would change
the size of its group without a word. Documents are judged one at a time, as lm-eval asks for them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from judger.errors import InvalidRequest
from judger.integrations._common import Grader

__all__ = ["process_results_of"]


def process_results_of(
    address: str, *, prompt: str = "prompt", rubric: str = "rubric", **settings: Any
) -> Callable[[Mapping[str, Any], Sequence[Any]], dict[str, float]]:
    """lm-eval's function.

    Args:
        address: of the server; `settings` are those of `judger.integrations._common.Grader`, the lane is evaluation.
        prompt, rubric: keys of a document; one without the first has no query.
    """
    grader = Grader(address=address, **({"lane": "evaluation"} | settings))

    def process_results(doc: Mapping[str, Any], results: Sequence[Any]) -> dict[str, float]:
        if rubric not in doc:
            raise InvalidRequest(rubric, "is no key of the document: there is no rubric to judge by")
        if len(results) != 1 or not isinstance(results[0], str):
            raise InvalidRequest("results", "must be one text: output_type generate_until, and a filter that takes one")
        graded = grader.wait(grader.grade(doc.get(prompt), results[0], doc[rubric]))
        missing = graded.value is None
        return {"checklist": math.nan if missing else graded.needed(), "checklist_unscored": float(missing)}

    return process_results
