"""A replica's figures as Ray's: what `judger.observe.metrics` counts, under the same names behind `ray_`.

Ray's agents gather them from every replica of their node for Prometheus. A counter is told as it stands, and so is each
bucket of a histogram: `rate` and `histogram_quantile` work on them as on a server's own.
"""

from __future__ import annotations

import asyncio
import math
from typing import Any

from prometheus_client import CollectorRegistry
from ray.serve import metrics

__all__ = ["exporting"]

EVERY = 5.0
"""Seconds between two tellings."""


async def exporting(registry: CollectorRegistry) -> None:
    """Tells Ray the registry's figures until it is cancelled."""
    gauges: dict[str, Any] = {}
    while True:
        for family in registry.collect():
            for sample in family.samples:
                if sample.name.endswith("_created") or math.isnan(sample.value):
                    continue
                if sample.name not in gauges:
                    tags = tuple(sample.labels)
                    gauges[sample.name] = metrics.Gauge(sample.name, family.documentation, tag_keys=tags)
                gauges[sample.name].set(sample.value, tags=dict(sample.labels))
        await asyncio.sleep(EVERY)
