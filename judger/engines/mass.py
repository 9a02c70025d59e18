"""How much of a model's distribution lies on the labels: whether it answers in the words that are read at all."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from judger.engines.base import Outcome

__all__ = ["LOW", "LabelMass"]

logger = logging.getLogger(__name__)

LOW = 0.1
"""A mean below this is worth a warning: nine tenths of what the model would say are no verdict."""
WINDOW = 1000
"""Criteria that the mean looks back on, about."""


class LabelMass:
    """The mean over the latest criteria; None before the first that has one. Warns once each time it turns low."""

    def __init__(self) -> None:
        self.mean: float | None = None
        self._count = 0
        self._is_low = False

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Counts what an engine gave."""
        for outcome in outcomes:
            if outcome.label_mass is not None:
                self._count = min(self._count + 1, WINDOW)
                mean = self.mean or 0.0
                self.mean = mean + (outcome.label_mass - mean) / self._count
        if self.mean is None:
            return
        if self.mean < LOW and not self._is_low:
            logger.warning(
                "the labels hold %.2g of what the model would say: it hardly answers with them, and its verdicts are "
                "little more than noise until it is trained to",
                self.mean,
            )
        self._is_low = self.mean < (2 * LOW if self._is_low else LOW)
