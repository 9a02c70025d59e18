"""Which replica a call goes to: the one that knows its report, unless that has much more to do than the others.

Consistent hashing with bounded loads (Mirrokni, Thorup and Zadimoghaddam, SODA 2018) over Ray's own ring: replicas come
and go without moving other sessions, and a session goes to the first replica clockwise that has room.
"""

from __future__ import annotations

import math
from typing import Any

from ray.serve.experimental.consistent_hash_router import ConsistentHashRouter

__all__ = ["AffinityRouter"]

EVERY = 10**6
"""Replicas that may be tried: all."""


class AffinityRouter(ConsistentHashRouter):  # type: ignore[misc]
    """Ray's router with a bound on a replica's load."""

    def initialize_state(self, load_bound: float, **kwargs: Any) -> None:
        """`load_bound`: of a replica's calls, as a multiple of the mean."""
        super().initialize_state(num_fallback_replicas=EVERY, **kwargs)
        self._load_bound = load_bound

    async def choose_replicas(self, candidate_replicas: list[Any], pending_request: Any = None) -> list[list[Any]]:
        """Replicas in the order in which they are asked, each in a list of its own."""
        ranks: list[list[Any]] = await super().choose_replicas(candidate_replicas, pending_request)
        if any(len(rank) != 1 for rank in ranks):  # nobody in particular is asked for
            return ranks
        ongoing = [self.replica_queue_len_cache.get(replica.replica_id) or 0 for (replica,) in ranks]
        most = room(ongoing, self._load_bound)
        return sorted(ranks, key=lambda rank: ongoing[ranks.index(rank)] >= most)  # stable: the ring's order within


def room(ongoing: list[int], bound: float) -> int:
    """Calls that a replica may have, the next one among them, while others have these."""
    return math.ceil(bound * (sum(ongoing) + 1) / max(1, len(ongoing)))
