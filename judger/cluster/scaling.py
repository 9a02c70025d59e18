"""How many replicas there should be: as many as bring each one's queue down to what was asked for. Imports no Ray."""

from __future__ import annotations

from typing import Any

__all__ = ["QUEUED_TOKENS", "QueuedTokens"]

QUEUED_TOKENS = "judger_queued_tokens"
"""Of a replica: estimated tokens that it has admitted and not done."""


class QueuedTokens:
    """The autoscaling policy. Serve keeps its bounds and delays around it.

    Args:
        tokens_per_replica: that a replica should have in its queue, on average over Serve's look-back period.
    """

    def __init__(self, tokens_per_replica: int) -> None:
        self.tokens_per_replica = tokens_per_replica

    def __call__(self, context: Any) -> tuple[float, dict[str, Any]]:
        """(replicas wanted, no state). Before any replica has told its tokens, things stay as they are."""
        told = (context.aggregated_metrics or {}).get(QUEUED_TOKENS, {})
        if not told:
            return context.target_num_replicas, {}
        return max(1.0, sum(told.values()) / self.tokens_per_replica), {}
