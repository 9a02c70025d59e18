"""Agreement of a generative judge with people, through the engine that will serve it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from judger.agreement import Observation, agreement, observe
from judger.engines.base import VERDICT_TIER
from judger.engines.torch import TorchEngine
from judger.prompt.fence import FenceKey
from judger.types import Case
from judger.verdict import verdict

FIGURES = ("balanced_accuracy", "ternary_macro_f1", "ece", "positive_rate", "human_positive_rate")


def measure(
    model: str | Path, sources: Mapping[str, Sequence[Case]], *, device: str, fence: FenceKey
) -> dict[str, Any]:
    """Figures by source and their mean, from plain verdicts, uncalibrated. Raises judger's EngineError."""
    engine = TorchEngine.load(str(model), device=device, fence=fence)
    observations: dict[str, list[Observation]] = {}
    for name, cases in sources.items():
        observed: list[Observation] = []
        for case in cases:
            (outcomes,) = engine.run([engine.plan(case, VERDICT_TIER)])
            verdicts = [
                verdict(criterion, outcome.result, calibration=engine.calibration)
                for criterion, outcome in zip(case.criteria, outcomes, strict=True)
            ]
            observed += observe(case, verdicts)
        if observed:
            observations[name] = observed
    engine.close()
    if not observations:
        return {}
    found = agreement(engine.identity.judge_id(engine.calibration), observations)
    rows = {**found.sources, "mean": found.mean}
    return {
        name: {"n": row.n, **{figure: row.figures[figure].value for figure in FIGURES}} for name, row in rows.items()
    }
