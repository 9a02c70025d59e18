"""Attention that also returns its log-sum-exp, so that parts of a softmax computed apart can be merged exactly.

Merging by log-sum-exp is the cascade of Hydragen (arXiv 2402.05099) and FlashInfer's shared-prefix decoding. Shapes:
q [B, H, Lq, D], k and v [B, Hkv, Lk, D] with H a multiple of Hkv, out [B, H, Lq, D], lse [B, H, Lq] in float32.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["Part", "attend", "math_attend", "merge"]

Part = tuple[Tensor, Tensor]
"""(out, lse)."""

SCORES_AT_ONCE = 2**24
"""Most attention scores the plain path holds at a time; it goes over the queries in blocks."""


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    scale: float,
    causal: bool = False,
    mask: Tensor | None = None,
    softcap: float | None = None,
) -> Part:
    """Softmax attention of q to k and v with its log-sum-exp.

    `causal` is aligned at the top left (query i sees keys 0..i); `mask` is boolean [B or 1, 1, Lq, Lk], True where
    seen, and may leave a query nothing: its out is 0 and its lse -inf. Fused kernels where they fit, else plain math.
    """
    if softcap is None and k.shape[-1] == v.shape[-1]:
        if q.device.type == "cpu":
            return fused(q, k, v, scale, causal, mask, "cpu")
        if q.device.type == "cuda":
            half = q.dtype in (torch.float16, torch.bfloat16)
            if half and mask is None and q.shape[-1] <= 256 and q.shape[-1] % 8 == 0:
                return fused(q, k, v, scale, causal, None, "flash")
            if mask is None:
                return fused(q, k, v, scale, causal, None, "efficient")
    return math_attend(q, k, v, scale=scale, causal=causal, mask=mask, softcap=softcap)


def fused(q: Tensor, k: Tensor, v: Tensor, scale: float, causal: bool, mask: Tensor | None, kernel: str) -> Part:
    """The same through torch's fused kernels, over grouped heads without copies of the keys.

    They know no grouped-query attention with a log-sum-exp, so a key head becomes a batch entry, and its query heads
    are the heads of that entry: k and v are expanded views.
    """
    batch, heads, length, _ = q.shape
    kv_heads, keys = k.shape[1], k.shape[2]
    groups = heads // kv_heads
    if kv_heads != heads:
        q = split_heads(q, kv_heads).flatten(0, 1)
        k = k.flatten(0, 1).unsqueeze(1).expand(-1, groups, -1, -1)
        v = v.flatten(0, 1).unsqueeze(1).expand(-1, groups, -1, -1)
    bias = None
    if mask is not None:
        bias = torch.zeros(mask.shape, dtype=q.dtype, device=q.device).masked_fill_(~mask, float("-inf"))
        bias = bias.expand(batch, 1, length, keys)
        if kv_heads != heads and batch > 1:
            bias = bias.repeat_interleave(kv_heads, 0)
    ops = torch.ops.aten
    if kernel == "cpu":
        out, lse = ops._scaled_dot_product_flash_attention_for_cpu(q, k, v, 0.0, causal, attn_mask=bias, scale=scale)
    elif kernel == "flash":
        out, lse = ops._scaled_dot_product_flash_attention(q, k, v, 0.0, causal, False, scale=scale)[:2]
    else:
        out, lse = ops._scaled_dot_product_efficient_attention(q, k, v, None, True, 0.0, causal, scale=scale)[:2]
        lse = lse[..., :length]  # this kernel pads the queries
    if kv_heads != heads:
        out = out.reshape(batch, heads, length, out.shape[-1])
        lse = lse.reshape(batch, heads, length)
    if mask is not None:  # the kernels say 0 for the lse of a query that sees nothing
        blind = ~mask.any(-1)
        out = out.masked_fill(blind.unsqueeze(-1), 0.0)
        lse = lse.masked_fill(blind, float("-inf"))
    return out, lse


def split_heads(q: Tensor, kv_heads: int) -> Tensor:
    """q [B, H, L, D] as [B, Hkv, H / Hkv, L, D], a view."""
    batch, heads, length, dim = q.shape
    return q.view(batch, kv_heads, heads // kv_heads, length, dim)


def math_attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    scale: float,
    causal: bool = False,
    mask: Tensor | None = None,
    softcap: float | None = None,
) -> Part:
    """The same written out, softmax in float32, blocks of queries at a time: for soft caps and odd shapes."""
    batch, heads, length, _ = q.shape
    kv_heads, keys = k.shape[1], k.shape[2]
    q = split_heads(q, kv_heads)
    k, v = k.unsqueeze(2), v.unsqueeze(2)
    block = max(1, SCORES_AT_ONCE // max(1, batch * heads * keys))
    outs, lses = [], []
    for begin in range(0, length, block):
        part = q[:, :, :, begin : begin + block]
        scores = torch.matmul(part, k.transpose(-1, -2)) * scale
        if softcap is not None:
            scores = torch.tanh(scores / softcap) * softcap
        scores = scores.float()
        seen = None if mask is None else mask[..., begin : begin + block, :]
        if causal:
            rows = torch.arange(begin, begin + part.shape[3], device=q.device)
            lower = rows[:, None] >= torch.arange(keys, device=q.device)[None, :]
            seen = lower if seen is None else seen & lower
        if seen is not None:
            if seen.dim() == 4:
                seen = seen.unsqueeze(2)
            scores = scores.masked_fill(~seen, float("-inf"))
        lse = scores.logsumexp(-1)
        weights = torch.exp(scores - lse.masked_fill(lse == float("-inf"), 0.0).unsqueeze(-1))
        outs.append(torch.matmul(weights.to(v.dtype), v))
        lses.append(lse)
    return torch.cat(outs, 3).flatten(1, 2), torch.cat(lses, 3).flatten(1, 2)


def merge(a: Part, b: Part) -> Part:
    """Attention over the union of the keys of `a` and `b`. Where neither sees a key, out is 0 and lse is -inf."""
    (out_a, lse_a), (out_b, lse_b) = a, b
    lse = torch.logaddexp(lse_a, lse_b)
    floor = lse.masked_fill(lse == float("-inf"), 0.0)
    weight_a = torch.exp(lse_a - floor).unsqueeze(-1)
    weight_b = torch.exp(lse_b - floor).unsqueeze(-1)
    return (out_a * weight_a + out_b * weight_b).to(out_a.dtype), lse
