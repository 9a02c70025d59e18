"""ragas: `evaluate(dataset, metrics=[Checklist(address="localhost:50051")])`.

The sample's `reference` is the rubric as JSON text. What has no reward raises Unjudged: ragas logs it, gives NaN, and
leaves it out of the mean (with `raise_exceptions=True` the evaluation ends). The trap: ragas patches the running loop
to nest, and retries nothing of its own; the judge is asked in a thread. Of langchain-community ragas needs < 0.4.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ragas.metrics.base import MetricType, SingleTurnMetric

from judger.errors import InvalidRequest
from judger.integrations._common import Grader

__all__ = ["Checklist"]


@dataclass
class Checklist(SingleTurnMetric):  # type: ignore[misc]
    """The reward by a sample's checklist.

    Args:
        address: of the server.
        settings: those of `judger.integrations._common.Grader`; the lane is evaluation.
    """

    name: str = "checklist"
    address: str = "localhost:50051"
    settings: Mapping[str, Any] = field(default_factory=dict)
    _required_columns: dict[MetricType, set[str]] = field(
        default_factory=lambda: {MetricType.SINGLE_TURN: {"user_input", "response", "reference"}}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.grader = Grader(address=self.address, **({"lane": "evaluation"} | dict(self.settings)))

    def init(self, run_config: Any) -> None:
        """Nothing: it has no model."""

    async def _single_turn_ascore(self, sample: Any, callbacks: Any) -> float:
        if sample.reference is None:
            raise InvalidRequest("reference", "is missing: there is no rubric to judge by")
        asked = self.grader.grade(sample.user_input, sample.response or "", sample.reference)
        return (await asyncio.to_thread(self.grader.wait, asked)).needed()
