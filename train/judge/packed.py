"""Branches on one prefix as a single row of tokens: each is read, and learned from, as if it stood alone behind it.

Used where many questions are asked of one text: a report's tokens are computed once, not once a criterion.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["ATTENTION", "Packed", "Seen", "attend", "register"]

ATTENTION = "judger_shared_prefix"
_NOT_PLAIN = ("softcap", "sliding_window", "s_aux")
_WRITTEN_OUT = 1 << 22
"""Scores of a head, at most, that are kept for the backward pass: 8 MB in bfloat16."""


@dataclass(slots=True)
class Packed:
    """One row. ids (T,); prefix: tokens that all branches see; branches: (first, last + 1) of each, in order.

    labels, negative, weights (criteria,) and `which`, the criteria's own numbers, are in the branches' order.
    """

    ids: list[int]
    prefix: int
    branches: list[tuple[int, int]]
    which: list[int]
    labels: list[int] = field(default_factory=list)
    negative: list[bool] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)

    @property
    def positions(self) -> Tensor:
        """(T,): every branch begins where the prefix ends."""
        parts = [torch.arange(self.prefix)]
        parts += [torch.arange(self.prefix, self.prefix + end - begin) for begin, end in self.branches]
        return torch.cat(parts)

    @property
    def mask(self) -> Tensor:
        """(T - prefix, T), true where a branch's token sees: the prefix, and its own branch up to itself."""
        rest = len(self.ids) - self.prefix
        seen = torch.zeros(rest, len(self.ids), dtype=torch.bool)
        seen[:, : self.prefix] = True
        for begin, end in self.branches:
            own = slice(begin - self.prefix, end - self.prefix)
            seen[own, begin:end] = torch.ones(end - begin, end - begin, dtype=torch.bool).tril()
        return seen

    @property
    def ends(self) -> Tensor:
        """(criteria,): where each branch is read."""
        return torch.tensor([end - 1 for _, end in self.branches])


@dataclass(frozen=True, slots=True)
class Seen:
    """What every layer needs to know of a row: its prefix, and what its branches see (`Packed.mask`)."""

    prefix: int
    mask: Tensor


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    seen: Seen | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """query (1, H, T, D), key and value (1, Hkv, T, D) -> ((1, T, H, D), None), as transformers asks it.

    Raises ValueError for a model whose attention is more than plain, or that doesn't hand the row down to it.
    """
    if seen is None:
        raise ValueError("the model does not hand the row down to its attention")
    if others_given := [name for name in _NOT_PLAIN if others.get(name) is not None]:
        raise ValueError(f"the model's attention has {', '.join(others_given)}: a prefix can't be shared")
    groups = query.shape[1] // key.shape[1]
    key, value = (x.repeat_interleave(groups, 1) for x in (key, value))
    p = seen.prefix
    first = _one(query[:, :, :p], key[:, :, :p], value[:, :, :p], None, scaling)
    rest = _one(query[:, :, p:], key, value, seen.mask, scaling)
    return torch.cat([first, rest], 2).transpose(1, 2), None


def _one(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float | None) -> Tensor:
    """mask: true where a query sees a key; without one, those up to itself."""
    trains_here = query.device.type == "cpu" and query.requires_grad
    short = query.shape[2] * key.shape[2] <= _WRITTEN_OUT
    return (_written_out if trains_here and short else _fused)(query, key, value, mask, scale)


def _fused(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float | None) -> Tensor:
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=mask is None, scale=scale)


def _written_out(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float | None) -> Tensor:
    """What trains on a CPU: the fused kernel's backward pass takes three times as long there."""
    if mask is None:
        mask = torch.ones(query.shape[2], key.shape[2], dtype=torch.bool).tril()
    bias = torch.zeros(mask.shape, dtype=query.dtype).masked_fill(~mask, torch.finfo(query.dtype).min)
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    scores = torch.baddbmm(bias, query[0], key[0].transpose(-1, -2), alpha=scale)
    return torch.bmm(scores.softmax(-1), value[0])[None]


def register() -> None:
    """Make `attend` known to transformers under `ATTENTION`."""
    from transformers import AttentionInterface

    AttentionInterface.register(ATTENTION, attend)
