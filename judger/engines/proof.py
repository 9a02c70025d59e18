"""The small case on which an engine proves that it judges at all."""

from __future__ import annotations

from judger.types import Case, Criterion

__all__ = ["WARM_UP"]

WARM_UP = Case(
    id="warm-up",
    query="What is the capital of France?",
    report="The capital of France is Paris. It lies on the Seine.",
    criteria=(Criterion(id="c1", text="The report names Paris as the capital of France."),),
)
