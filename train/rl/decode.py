"""Batched sampling with a cache of keys and values that outlives the turn.

Rows of different lengths share a batch by their masks: each row's cached keys stand left, its new tokens right-aligned
behind them, and positions are its own, so no row depends on its neighbours. Equal prompts are read once. Every row has
its own random numbers: what it samples does not depend on who else is in the batch, but for rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin

__all__ = ["Row", "Written", "generate"]

_ROOM = 64

KeysValues = list[tuple[Tensor, Tensor]]
"""Of each layer, the keys and values of one row: (heads, tokens, size) each."""


@dataclass(frozen=True, slots=True)
class Row:
    """One reply to sample: all ids so far, what is cached of them (a prefix), a random number for each new token."""

    ids: list[int]
    cached: KeysValues | None
    uniforms: Tensor
    """In [0, 1), float64; as many as the reply may have tokens."""

    @property
    def num_cached(self) -> int:
        return self.cached[0][0].shape[1] if self.cached else 0


@dataclass(frozen=True, slots=True)
class Written:
    """A sampled reply. `has_ended`: its last token is an end token, and not the limit."""

    ids: list[int]
    logprobs: list[float]
    has_ended: bool
    cached: KeysValues | None
    """Keys and values of all of it, where the model is in this process."""


class _Layer(CacheLayerMixin):
    """Keys and values of one layer in a buffer that is written in place; transformers' own copies it at every token."""

    is_sliding = False

    def __init__(self, cached: tuple[Tensor, Tensor] | None = None) -> None:
        super().__init__()
        self.used = 0
        if cached is not None:
            self.keys, self.values = cached
            self.used = self.keys.shape[2]
            self.is_initialized = True

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        self.keys, self.values = (
            states.new_zeros(*states.shape[:2], states.shape[2] + _ROOM, states.shape[3])
            for states in (key_states, value_states)
        )
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start, self.used = self.used, self.used + key_states.shape[2]
        if self.used > self.keys.shape[2]:
            more = self.used - self.keys.shape[2] + max(_ROOM, self.used // 2)
            self.keys, self.values = (
                torch.cat([buffer, buffer.new_zeros(*buffer.shape[:2], more, buffer.shape[3])], dim=2)
                for buffer in (self.keys, self.values)
            )
        self.keys[:, :, start : self.used] = key_states
        self.values[:, :, start : self.used] = value_states
        return self.keys[:, :, : self.used], self.values[:, :, : self.used]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.used + query_length, 0

    def get_seq_length(self) -> int:
        return self.used

    def get_max_length(self) -> int:
        return -1

    def keep(self, rows: Tensor) -> None:
        self.keys, self.values = self.keys[rows], self.values[rows]


@torch.inference_mode()
def generate(model: Any, rows: Sequence[Row], ends: frozenset[int], *, temperature: float = 1.0) -> list[Written]:
    """Sample a reply for each row; 0 as `temperature` takes the likeliest token.

    The log-probabilities are those of the whole distribution at that temperature (of the model itself where it is 0).
    `model` is a causal model of transformers with full attention.
    """
    if not rows:
        return []
    distinct, where = _distinct(rows)
    layers, valid, positions, logits = _read(model, distinct)
    if len(distinct) < len(rows):
        index = torch.tensor(where, device=logits.device)
        for layer in layers:
            layer.keep(index)
        valid, positions, logits = valid[index], positions[index], logits[index]
    cache = Cache(layers=layers)
    uniforms = torch.zeros(len(rows), max(len(row.uniforms) for row in rows), dtype=torch.float64)
    for i, row in enumerate(rows):
        uniforms[i, : len(row.uniforms)] = row.uniforms
    uniforms = uniforms.to(logits.device)
    here = list(range(len(rows)))  # the row that each place of the batch belongs to
    alive = set(here)
    ids: list[list[int]] = [[] for _ in rows]
    logprobs: list[list[float]] = [[] for _ in rows]
    found: dict[int, Written] = {}
    step = 0
    while True:
        chosen, chances = _choose(logits, uniforms[:, step], temperature)
        for place, (token, chance) in enumerate(zip(chosen.tolist(), chances.tolist(), strict=True)):
            number = here[place]
            if number not in alive:
                continue
            ids[number].append(token)
            logprobs[number].append(chance)
            if token in ends or len(ids[number]) == len(rows[number].uniforms):
                kept = valid[place].nonzero()[:, 0]
                own = [(layer.keys[place][:, kept], layer.values[place][:, kept]) for layer in layers]
                found[number] = Written(ids[number], logprobs[number], token in ends, own)
                alive.discard(number)
        if not alive:
            return [found[number] for number in range(len(rows))]
        if 2 * len(alive) <= len(here):
            places = torch.tensor([p for p, number in enumerate(here) if number in alive], device=logits.device)
            here = [here[p] for p in places.tolist()]
            for layer in layers:
                layer.keep(places)
            valid, positions, chosen, uniforms = valid[places], positions[places], chosen[places], uniforms[places]
        valid = torch.cat([valid, valid.new_ones(len(here), 1)], dim=1)
        logits = _forward(model, chosen[:, None], positions[:, None], _mask(model, valid, 1), cache)
        positions = positions + 1
        step += 1


def _distinct(rows: Sequence[Row]) -> tuple[list[Row], list[int]]:
    """The rows that have to be read, and for each row which of them it is."""
    places: dict[tuple[int, ...], int] = {}
    distinct: list[Row] = []
    where: list[int] = []
    for row in rows:
        key = tuple(row.ids)
        if row.cached or key not in places:
            if not row.cached:
                places[key] = len(distinct)
            where.append(len(distinct))
            distinct.append(row)
        else:
            where.append(places[key])
    return distinct, where


def _read(model: Any, rows: Sequence[Row]) -> tuple[list[_Layer], Tensor, Tensor, Tensor]:
    """Read what is new in each row: the cache, which of its columns belong to the row, next positions, next logits."""
    device = model.device
    most_cached = max(row.num_cached for row in rows)
    most_new = max(len(row.ids) - row.num_cached for row in rows)
    tokens = torch.zeros(len(rows), most_new, dtype=torch.long)
    places = torch.zeros(len(rows), most_new, dtype=torch.long)
    valid = torch.zeros(len(rows), most_cached + most_new, dtype=torch.bool)
    for i, row in enumerate(rows):
        new = row.ids[row.num_cached :]
        tokens[i, most_new - len(new) :] = torch.tensor(new)
        places[i, most_new - len(new) :] = torch.arange(row.num_cached, len(row.ids))
        valid[i, : row.num_cached] = True
        valid[i, most_cached + most_new - len(new) :] = True
    layers = _preloaded(rows, most_cached, most_new) if most_cached else _empty(model)
    valid = valid.to(device)
    mask = _mask(model, valid, most_new)
    logits = _forward(model, tokens.to(device), places.to(device), mask, Cache(layers=layers))
    return layers, valid, torch.tensor([len(row.ids) for row in rows], device=device), logits


def _empty(model: Any) -> list[_Layer]:
    return [_Layer() for _ in range(model.config.get_text_config(decoder=True).num_hidden_layers)]


def _preloaded(rows: Sequence[Row], most_cached: int, most_new: int) -> list[_Layer]:
    first = next(row.cached for row in rows if row.cached)
    layers: list[_Layer] = []
    for number, (key, _) in enumerate(first):
        buffers = [
            key.new_zeros(len(rows), key.shape[0], most_cached + most_new + _ROOM, key.shape[2]) for _ in range(2)
        ]
        for i, row in enumerate(rows):
            for buffer, own in zip(buffers, row.cached[number] if row.cached else (), strict=bool(row.cached)):
                buffer[i, :, : row.num_cached] = own
        layer = _Layer((buffers[0], buffers[1]))
        layer.used = most_cached
        layers.append(layer)
    return layers


def _mask(model: Any, valid: Tensor, num_queries: int) -> Tensor:
    """Who may look where. For SDPA ready-made, which saves transformers making one at every token."""
    if model.config._attn_implementation != "sdpa":
        return valid.long()
    if num_queries == 1:
        return valid[:, None, None, :]
    total = valid.shape[1]
    columns = torch.arange(total, device=valid.device)
    queries = columns[total - num_queries :]
    causal = columns[None, :] <= queries[:, None]
    # A padded query sees itself: one that sees nothing would be undefined.
    own = columns[None, :] == queries[:, None]
    return (valid[:, None, None, :] & causal) | own


def _forward(model: Any, tokens: Tensor, positions: Tensor, mask: Tensor, cache: Cache) -> Tensor:
    output = model(
        input_ids=tokens,
        position_ids=positions,
        attention_mask=mask,
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    )
    logits: Tensor = output.logits[:, -1]
    return logits


def _choose(logits: Tensor, uniforms: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """One token a row by inverting the cumulative distribution at the row's own random number."""
    chances = (logits.float() / (temperature or 1.0)).log_softmax(-1)
    if temperature == 0:
        chosen = chances.argmax(-1)
    else:
        cumulative = chances.double().exp().cumsum(-1)
        target = (uniforms * cumulative[:, -1])[:, None]
        chosen = torch.searchsorted(cumulative, target, right=True)[:, 0].clamp(max=logits.shape[-1] - 1)
    return chosen, chances.gather(1, chosen[:, None])[:, 0]
