"""What a call says beside its message, in gRPC's metadata."""

from __future__ import annotations

__all__ = ["BEHIND"]

BEHIND = "judger-caller"
"""For whom a gateway calls."""
