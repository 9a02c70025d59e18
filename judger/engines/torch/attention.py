"""The attention function given to transformers' models: one packed row, many prompts, shared keys read once.

Registered under `NAME` with transformers' AttentionInterface; a model whose `_attn_implementation` is `NAME` calls it
in every layer with the `Row` that its forward was given as the keyword `judger_row`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from judger.engines.torch.kernels import attend, merge
from judger.engines.torch.layout import Causal, Layout, Node
from judger.engines.torch.windows import before, causal_parts, seen_in_window

__all__ = ["NAME", "KeysKnown", "NodeKV", "Row", "cascade_attention", "register"]

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
    places: tuple[int, ...]
    """Where the row is read, rising: the last tokens of leaves."""
    ends: Tensor | None = None
    """The same [E] where the last layer is computed there alone (see `last`)."""
    is_last: bool = False
    """Whether the last layer is being computed, and to be broken off once its keys and values are known."""
    keys: tuple[Tensor, Tensor] | None = None
    """The last layer's keys and values of the whole row, while its few queries are computed."""

    @classmethod
    def of(
        cls, layout: Layout, keep: dict[Node, NodeKV], device: torch.device, places: Sequence[int], *, trim: bool
    ) -> Row:
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
        ends = torch.tensor(places, dtype=torch.long, device=device) if trim else None
        return cls(layout, keep, torch.tensor(layout.positions, device=device), gathers, tuple(places), ends)

    def few(self, begin: int, end: int) -> slice:
        """Which of the `places` lie in `begin:end` of the row."""
        return slice(bisect_left(self.places, begin), bisect_left(self.places, end))


class KeysKnown(Exception):
    """Breaks off the last layer's forward where its attention has been handed keys and values [1, Hkv, T, D]."""

    def __init__(self, key: Tensor, value: Tensor) -> None:
        super().__init__("the last layer's keys and values are known")
        self.keys = (key, value)


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
    row = judger_row
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    if row.keys is None:
        layer = int(module.layer_idx)  # type: ignore[arg-type]
        for span in row.layout.spans:
            kept = row.keep.get(span.node)
            if kept is not None:
                kept.write(layer, span.first, key[:, :, span.row : span.end], value[:, :, span.row : span.end])
        if row.is_last:
            raise KeysKnown(key, value)
        positions = row.positions
    else:  # the last layer's few queries, with keys and values of all tokens
        key, value = row.keys
        positions = row.positions[row.ends]
    # [1, T, H, D] in memory, so that the caller's reshape copies nothing.
    out = value.new_empty(1, query.shape[2], query.shape[1], value.shape[3]).transpose(1, 2)
    lse = query.new_empty(query.shape[:3], dtype=torch.float32)
    own = own_causal if row.keys is None else own_last
    for call in row.layout.causal:
        own(row, call, query, key, value, out, lse, scale, sliding_window, softcap)
    for read in row.layout.reads:
        rows = slice(read.begin, read.end) if row.keys is None else row.few(read.begin, read.end)
        if rows.start == rows.stop:
            continue
        if read.row is not None:
            k, v = key[:, :, read.row : read.row + read.length], value[:, :, read.row : read.row + read.length]
        else:
            assert isinstance(read.stored, NodeKV)
            k, v = read.stored.read(int(module.layer_idx), read.length)  # type: ignore[arg-type]
        for part in before(read, query[:, :, rows], k, v, positions[rows], scale, sliding_window, softcap):
            inside = slice(rows.start + part[0], rows.start + part[1])
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


def own_last(
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
    """`own_causal` for the few queries of the last layer: each to its own segment, up to itself."""
    few = [(row.few(begin, begin + length), begin) for begin, length in call.segments]
    asked = [(at, begin) for rows, begin in few for at in range(rows.start, rows.stop)]
    if not asked:
        return
    lengths = torch.tensor([row.places[at] - begin + 1 for at, begin in asked], device=query.device)
    column = torch.arange(int(lengths.max()), device=query.device)
    begins = torch.tensor([begin for _, begin in asked], device=query.device)
    distance = lengths[:, None] - 1 - column  # from the query back to the key; below 0 behind it
    index = begins[:, None] + torch.minimum(column, lengths[:, None] - 1)
    k, v = (tensor[0][:, index].transpose(0, 1) for tensor in (key, value))
    at = torch.tensor([at for at, _ in asked], device=query.device)
    seen = distance >= 0 if window is None else (distance >= 0) & (distance < window)
    q = query[0][:, at].transpose(0, 1).unsqueeze(2)
    o, s = attend(q, k, v, scale=scale, mask=seen[:, None, None], softcap=softcap)
    out[0, :, at] = o[:, :, 0].transpose(0, 1)
    lse[0, :, at] = s[:, :, 0].transpose(0, 1)


def register() -> None:
    """Makes `NAME` known to transformers. No mask function goes with it, so models build no masks."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, cascade_attention)
