"""Agreement with people's labels: figures per source (`agreement`), their arithmetic (`figures`), two `baselines`."""

from judger.agreement.agreement import Agreement, Figure, Observation, Row, agreement, observe

__all__ = ["Agreement", "Figure", "Observation", "Row", "agreement", "observe"]
