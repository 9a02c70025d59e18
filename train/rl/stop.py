"""Why a run ends before its last step, with its state saved: the same command goes on from there."""

from __future__ import annotations

__all__ = ["Stop"]


class Stop(Exception):
    """It says what has to be mended first."""
