"""Attention in parts under a sliding window: blocks of queries, each with the keys that some of them see."""

from __future__ import annotations

import torch
from torch import Tensor

from judger.engines.torch.kernels import Part, attend
from judger.engines.torch.layout import Read

__all__ = ["before", "causal_parts", "seen_in_window"]


def causal_parts(
    q: Tensor, k: Tensor, v: Tensor, scale: float, window: int | None, softcap: float | None
) -> list[tuple[int, int, Part]]:
    """Causal attention of one segment as (first, last, part): whole, or by blocks of queries under a window."""
    length = q.shape[2]
    if window is None or length <= window:
        return [(0, length, attend(q, k, v, scale=scale, causal=True, softcap=softcap))]
    parts = []
    block = max(window, 128)
    for first in range(0, length, block):
        last = min(first + block, length)
        low = max(0, first - window + 1)
        positions = torch.arange(first, last, device=q.device)
        mask = seen_in_window(positions, low, last - low, window, causal=True)[None, None]
        part = attend(
            q[:, :, first:last], k[:, :, low:last], v[:, :, low:last], scale=scale, mask=mask, softcap=softcap
        )
        parts.append((first, last, part))
    return parts


def before(
    read: Read,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    positions: Tensor,
    scale: float,
    window: int | None,
    softcap: float | None,
) -> list[tuple[int, int, Part]]:
    """Attention of queries to keys that all lie before them, as (first, last, part) of the queries.

    Under a sliding window a query at position p sees keys from p - window + 1 on; queries are taken in runs of rising
    position, blocks at a time, with the keys that some of them see.
    """
    if window is None or int(positions.max()) - read.start < window:
        return [(0, q.shape[2], attend(q, k, v, scale=scale, softcap=softcap))]
    parts = []
    block = max(window, 128)
    for first in range(0, q.shape[2], block):
        last = min(first + block, q.shape[2])
        here = positions[first:last]
        low = max(0, int(here.min()) - window + 1 - read.start)
        if low >= read.length:
            continue
        mask = seen_in_window(here, read.start + low, read.length - low, window, causal=False)[None, None]
        part = attend(q[:, :, first:last], k[:, :, low:], v[:, :, low:], scale=scale, mask=mask, softcap=softcap)
        parts.append((first, last, part))
    return parts


def seen_in_window(positions: Tensor, start: int, length: int, window: int, *, causal: bool) -> Tensor:
    """Boolean [queries, length]: does the query at each position see the key at `start + j`?"""
    keys = torch.arange(start, start + length, device=positions.device)
    distance = positions[:, None] - keys[None, :]
    seen = distance < window
    return seen & (distance >= 0) if causal else seen
