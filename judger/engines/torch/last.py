"""The last layer at the places that are read, and nowhere else.

Nothing comes after the last layer, so of all its outputs only those at the branches' last tokens are used. They need
its keys and values of every token; its queries, its attention and its feed-forward part of those few. The decoder
layer runs twice: over all tokens, broken off where its attention has been handed the keys, and over the few.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from judger.engines.torch.attention import KeysKnown, Row

__all__ = ["LastLayer", "wrap_last_layer"]


class LastLayer:
    """The forward of a model's last decoder layer, which returns [1, ends, hidden] for a row with `ends`."""

    def __init__(self, forward: Callable[..., Any]) -> None:
        self._forward = forward

    def __call__(self, hidden_states: Tensor, **others: Any) -> Any:
        row = others.get("judger_row")
        if not isinstance(row, Row) or row.ends is None:
            return self._forward(hidden_states, **others)
        few = {name: narrowed(name, value, row.ends, hidden_states.shape[1]) for name, value in others.items()}
        row.is_last = True
        try:
            self._forward(hidden_states, **others)
        except KeysKnown as known:
            row.keys = known.keys
        else:
            raise ValueError("the last decoder layer does not call its attention")
        if not row.places:  # a piece of a prefix: its keys and values were all it was for
            return hidden_states[:, :1]
        return self._forward(hidden_states[:, row.ends], **few)


def wrap_last_layer(model: torch.nn.Module) -> bool:
    """Makes the model's last decoder layer a `LastLayer`, once. False where it can't be told which layer that is."""
    layers: dict[int, list[torch.nn.Module]] = {}
    for module in model.modules():
        number = getattr(getattr(module, "self_attn", None), "layer_idx", None)
        if isinstance(number, int):
            layers.setdefault(number, []).append(module)
    if not layers or len(layers[max(layers)]) > 1:
        return False
    (last,) = layers[max(layers)]
    if not isinstance(last.forward, LastLayer):
        last.forward = LastLayer(last.forward)
    return True


def narrowed(name: str, value: Any, ends: Tensor, tokens: int) -> Any:
    """A decoder layer's keyword for the few tokens alone. ValueError where it isn't known how."""
    if name == "position_ids":
        return value[:, ends]
    if name == "position_embeddings":  # cosines and sines, [1, tokens, dim] each
        return tuple(part[:, ends] for part in value)
    if isinstance(value, Tensor) and tokens in value.shape:
        raise ValueError(f"the decoder layer takes {name} for each token")
    return value
