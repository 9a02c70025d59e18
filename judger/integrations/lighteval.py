"""lighteval: `LightevalTaskConfig(..., metrics=[checklist("localhost:50051")])`.

The rubric is the document's `specific["rubric"]`. What has no reward is NaN, and the corpus' value the mean of the
others. The trap: lighteval's own mean makes the whole corpus NaN of one, and its standard error still is; the count of
those without a reward is the metric `checklist_unscored`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from lighteval.metrics.metrics_sample import SampleLevelComputation
from lighteval.metrics.utils.metric_utils import SampleLevelMetricGrouping
from lighteval.tasks.requests import SamplingMethod

from judger.errors import InvalidRequest
from judger.integrations._common import Grader

__all__ = ["Checklist", "checklist"]


def checklist(address: str = "localhost:50051", *, rubric: str = "rubric", **settings: Any) -> Any:
    """The metric.

    Args:
        address: of the server; `settings` are those of `judger.integrations._common.Grader`, the lane is evaluation.
        rubric: the key of the rubric in a document's `specific`.
    """
    return SampleLevelMetricGrouping(
        metric_name=["checklist", "checklist_unscored"],
        higher_is_better={"checklist": True, "checklist_unscored": False},
        category=SamplingMethod.GENERATIVE,
        sample_level_fn=Checklist(Grader(address=address, **({"lane": "evaluation"} | settings)), rubric),
        corpus_level_fn={"checklist": _mean, "checklist_unscored": np.mean},
    )


class Checklist(SampleLevelComputation):  # type: ignore[misc]
    """Reward of the first generation of a document; NaN where there is none."""

    def __init__(self, grader: Grader, rubric: str) -> None:
        self.grader, self.rubric = grader, rubric

    def compute(self, doc: Any, model_response: Any, **_: Any) -> dict[str, float]:
        """Both metrics. Raises InvalidRequest, Unavailable."""
        specific = doc.specific or {}
        if self.rubric not in specific:
            raise InvalidRequest(f"specific.{self.rubric}", "is missing: there is no rubric to judge by")
        report = model_response.final_text[0]
        graded = self.grader.wait(self.grader.grade(doc.query, report, specific[self.rubric]))
        missing = graded.value is None
        return {"checklist": math.nan if missing else graded.needed(), "checklist_unscored": float(missing)}


def _mean(values: Any) -> float:
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan
