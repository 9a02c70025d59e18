"""The attention function given to transformers' models: one packed row, many prompts, shared keys read once.

Registered under `NAME` with transformers' AttentionInterface; a model whose `_attn_implementation` is `NAME` calls it
in every layer with the `Row` that its forward was given as the keyword `judger_row`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from judger.engines.torch.kernels import Part, attend, merge
from judger.engines.torch.layout import Causal, Layout, Node, Read

__all__ = ["NAME", "NodeKV", "Row", "cascade_attention", "register"]

NAME = "judger_cascade"


class NodeKV:
    """Keys and values of one node: k and v [1, Hkv, tokens, D] per layer, filled chunk by chunk from the front."""

    __slots__ = ("filled", "layers", "nbytes", "start", "tokens")

    def __init__(self, start: int, tokens: int) -> None:
        self.start = start
        self.tokens = tokens
        self.filled = 0
        self.layers: dict[int, tuple[Tensor, Tensor]] = {}
        self.nbytes = 0

    def write(self, layer: int, first: int, k: Tensor, v: Tensor) -> None:
        """Keeps k and v [1, Hkv, n, D] of tokens `first:first + n`; `filled` is the caller's to move on."""
        if layer not in self.layers:
            shapes = [(1, part.shape[1], self.tokens, part.shape[3]) for part in (k, v)]
            self.layers[layer] = (k.new_empty(shapes[0]), v.new_empty(shapes[1]))
            self.nbytes += sum(part.nbytes for part in self.layers[layer])
        for kept, part in zip(self.layers[layer], (k, v), strict=True):
            kept[:, :, first : first + part.shape[2]] = part

    def read(self, layer: int, length: int) -> tuple[Tensor, Tensor]:
        """k and v [1, Hkv, length, D] of the first `length` tokens."""
        k, v = self.layers[layer]
        return k[:, :, :length], v[:, :, :length]


@dataclass(slots=True)
class Row:
    """One forward's layout, where its keys go, and what every layer shares."""

    layout: Layout
    keep: dict[Node, NodeKV]
    """Nodes of this row whose keys and values later forwards need."""
    positions: Tensor
    """[T], on the model's device."""
    gathers: dict[Causal, tuple[Tensor, Tensor]]
    """For batched segments: row index [N, longest] (padding repeats the last) and the flat places of real tokens."""

    @classmethod
    def of(cls, layout: Layout, keep: dict[Node, NodeKV], device: torch.device) -> Row:
        gathers = {}
        for call in layout.causal:
            if len(call.segments) > 1:
                longest = max(length for _, length in call.segments)
                index = [[begin + min(i, length - 1) for i in range(longest)] for begin, length in call.segments]
                real = [i < length for _, length in call.segments for i in range(longest)]
                gathers[call] = (
                    torch.tensor(index, device=device),
                    torch.tensor(real, device=device).nonzero().squeeze(1),
                )
        return cls(layout, keep, torch.tensor(layout.positions, device=device), gathers)


def cascade_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    judger_row: Row | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """query [1, H, T, D], key and value [1, Hkv, T, D] of a packed row -> ([1, T, H, D], None).

    Raises ValueError for what it can't honour (masks, biases), so that such a model is refused at load.
    """
    if judger_row is None:
        raise ValueError("the model does not hand the packed row down to its attention")
    if attention_mask is not None or others.get("position_bias") is not None:
        raise ValueError("attention with a mask or a bias of its own can't be merged")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    layer = int(module.layer_idx)  # type: ignore[arg-type]
    for span in judger_row.layout.spans:
        kept = judger_row.keep.get(span.node)
        if kept is not None:
            kept.write(layer, span.first, key[:, :, span.row : span.end], value[:, :, span.row : span.end])
    # [1, T, H, D] in memory, so that the caller's reshape copies nothing.
    out = value.new_empty(1, query.shape[2], query.shape[1], value.shape[3]).transpose(1, 2)
    lse = query.new_empty(query.shape[:3], dtype=torch.float32)
    for call in judger_row.layout.causal:
        own_causal(judger_row, call, query, key, value, out, lse, scale, sliding_window, softcap)
    for read in judger_row.layout.reads:
        if read.row is not None:
            k, v = key[:, :, read.row : read.row + read.length], value[:, :, read.row : read.row + read.length]
        else:
            assert isinstance(read.stored, NodeKV)
            k, v = read.stored.read(layer, read.length)
        rows = slice(read.begin, read.end)
        for part in before(read, query[:, :, rows], k, v, judger_row.positions[rows], scale, sliding_window, softcap):
            inside = slice(read.begin + part[0], read.begin + part[1])
            merged = merge((out[:, :, inside], lse[:, :, inside]), part[2])
            out[:, :, inside], lse[:, :, inside] = merged
    if s_aux is not None:  # attention sinks (gpt-oss): one more logit per head in the softmax, with no value behind it
        out = out * torch.sigmoid(lse - s_aux.float().view(1, -1, 1)).unsqueeze(-1).to(out.dtype)
    return out.transpose(1, 2), None


def own_causal(
    row: Row,
    call: Causal,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    out: Tensor,
    lse: Tensor,
    scale: float,
    window: int | None,
    softcap: float | None,
) -> None:
    """Every segment of `call` to itself, written into `out` and `lse`."""
    if len(call.segments) == 1:
        ((begin, length),) = call.segments
        own = slice(begin, begin + length)
        for first, last, part in causal_parts(
            query[:, :, own], key[:, :, own], value[:, :, own], scale, window, softcap
        ):
            out[:, :, begin + first : begin + last], lse[:, :, begin + first : begin + last] = part
        return
    index, real = row.gathers[call]
    # Padding repeats a segment's last token behind it: under the causal mask no real token sees it.
    q, k, v = (tensor[0][:, index].transpose(0, 1) for tensor in (query, key, value))
    longest = index.shape[1]
    mask = None
    if window is not None and longest > window:
        mask = seen_in_window(torch.arange(longest, device=q.device), 0, longest, window, causal=True)[None, None]
    o, s = attend(q, k, v, scale=scale, causal=mask is None, mask=mask, softcap=softcap)
    places = index.flatten()[real]
    out[0, :, places] = o.transpose(0, 1).flatten(1, 2)[:, real]
    lse[0, :, places] = s.transpose(0, 1).flatten(1, 2)[:, real]


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


def register() -> None:
    """Makes `NAME` known to transformers. No mask function goes with it, so models build no masks."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, cascade_attention)
