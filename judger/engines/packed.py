"""Branches on one prefix as a single row of tokens: each is read as if it stood alone behind it.

Used where many questions are asked of one text: a report's tokens are computed once, not once a criterion.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["ATTENTION", "Packed", "Seen", "attend", "register"]

ATTENTION = "judger_shared_prefix"
_NOT_PLAIN = ("softcap", "sliding_window", "s_aux")


@dataclass(slots=True)
class Packed:
    """One row. ids (T,); prefix: tokens that all branches see; branches: (first, last + 1) of each, in order."""

    ids: list[int]
    prefix: int
    branches: list[tuple[int, int]]

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
        """(branches,): where each one is read."""
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
    first = F.scaled_dot_product_attention(
        query[:, :, :p], key[:, :, :p], value[:, :, :p], is_causal=True, scale=scaling
    )
    rest = F.scaled_dot_product_attention(query[:, :, p:], key, value, attn_mask=seen.mask, scale=scaling)
    return torch.cat([first, rest], 2).transpose(1, 2), None


def register() -> None:
    """Make `attend` known to transformers under `ATTENTION`."""
    from transformers import AttentionInterface

    AttentionInterface.register(ATTENTION, attend)
