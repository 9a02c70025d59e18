"""deepeval: `evaluate(cases, [ChecklistMetric("localhost:50051")], error_config=ErrorConfig(ignore_errors=True))`.

The rubric is the test case's `metadata["rubric"]`. What has no reward raises Unjudged: with `ignore_errors` deepeval
keeps it as the metric's error, without a score; else the evaluation ends. The trap: deepeval copies a metric for each
case by its constructor's arguments, which must be attributes of the same names, so the grader's settings are one
mapping.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from deepeval.metrics import BaseMetric

from judger.errors import InvalidRequest
from judger.integrations._common import Grader

__all__ = ["ChecklistMetric"]


class ChecklistMetric(BaseMetric):  # type: ignore[misc]
    """The reward by a test case's checklist.

    Args:
        address: of the server.
        threshold: the least reward that passes.
        rubric: the key of the rubric in a test case's metadata.
        settings: those of `judger.integrations._common.Grader`; the lane is evaluation.
    """

    def __init__(
        self,
        address: str = "localhost:50051",
        threshold: float = 0.5,
        rubric: str = "rubric",
        settings: Mapping[str, Any] | None = None,
        async_mode: bool = True,
    ) -> None:
        self.address, self.threshold, self.rubric = address, threshold, rubric
        self.settings, self.async_mode = settings, async_mode
        self.grader = Grader(address=address, **({"lane": "evaluation"} | dict(settings or {})))

    def measure(self, test_case: Any, *_: Any, **__: Any) -> float:
        """The reward. Raises Unjudged, InvalidRequest, Unavailable."""
        self.score, self.success, self.error, self.reason = None, None, None, None
        metadata = test_case.metadata or {}
        if self.rubric not in metadata:
            raise InvalidRequest(f"metadata.{self.rubric}", "is missing: there is no rubric to judge by")
        asked = self.grader.grade(test_case.input, test_case.actual_output or "", metadata[self.rubric])
        value = self.grader.wait(asked).needed()
        self.score, self.success = value, value >= self.threshold
        return value

    async def a_measure(self, test_case: Any, *_: Any, **__: Any) -> float:
        """The same, in a thread: deepeval's loops may be patched to nest."""
        return await asyncio.to_thread(self.measure, test_case)

    def is_successful(self) -> bool:
        """Whether the last one passed."""
        return bool(self.success)

    @property
    def __name__(self) -> str:
        return "Checklist"
