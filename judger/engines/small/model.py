"""A causal model of transformers as a reader of packed rows: three outputs at the end of each branch.

A branch attends to the prefix and to itself, so that it reads what it would read alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from judger.engines.small.rows import WORDS, Packed

ATTENTION = "judger_shared_prefix"


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
    """query (1, H, T, D), key and value (1, Hkv, T, D) -> ((1, T, H, D), None), as transformers asks it."""
    assert seen is not None, "the model does not hand the row down to its attention"
    groups = query.shape[1] // key.shape[1]
    key, value = (x.repeat_interleave(groups, 1) for x in (key, value))
    p = seen.prefix
    first = F.scaled_dot_product_attention(
        query[:, :, :p], key[:, :, :p], value[:, :, :p], is_causal=True, scale=scaling
    )
    rest = F.scaled_dot_product_attention(query[:, :, p:], key, value, attn_mask=seen.mask, scale=scaling)
    return torch.cat([first, rest], 2).transpose(1, 2), None


class SmallReader(nn.Module):
    """Packed rows -> logits (criteria, 3) of not, partially, fully.

    Args:
        folder: a causal model of transformers with rotary positions (Llama, Qwen, SmolLM).
        dtype: of the base; in bfloat16 it computes under autocast.
    """

    def __init__(self, folder: str | Path, *, dtype: torch.dtype = torch.float32) -> None:
        from transformers import AttentionInterface, AutoModelForCausalLM, AutoTokenizer

        super().__init__()
        AttentionInterface.register(ATTENTION, attend)
        self.tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        whole = AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, attn_implementation=ATTENTION, trust_remote_code=False
        )
        whole.requires_grad_(False)
        words = [self.tokenizer(word, add_special_tokens=False)["input_ids"][-1] for word in WORDS]
        self.head = nn.Linear(whole.config.hidden_size, 3)
        with torch.no_grad():
            self.head.weight.copy_(whole.get_output_embeddings().weight[words].float())
            self.head.bias.zero_()
        self.base = whole.model

    def forward(self, row: Packed) -> Tensor:
        """(criteria, 3)."""
        return self.ends(self.layers(self.embed(row), row, 0, len(self.base.layers)), row)

    def embed(self, row: Packed) -> Tensor:
        """(1, T, width)."""
        found: Tensor = self.base.embed_tokens(torch.tensor([row.ids], device=self.head.weight.device))
        return found

    def layers(self, states: Tensor, row: Packed, first: int, last: int) -> Tensor:
        """States (1, T, width) before layer `first` -> before layer `last`."""
        positions = row.positions[None].to(states.device)
        rotary = self.base.rotary_emb(states, positions)
        seen = Seen(row.prefix, row.mask.to(states.device))
        with torch.autocast(states.device.type, torch.bfloat16, enabled=states.dtype == torch.bfloat16):
            for layer in self.base.layers[first:last]:
                states = layer(
                    states, attention_mask=None, position_ids=positions, position_embeddings=rotary, seen=seen
                )
        return states

    def ends(self, states: Tensor, row: Packed) -> Tensor:
        """The last layer's states -> (criteria, 3)."""
        found: Tensor = self.head(self.base.norm(states[0, row.ends.to(states.device)]).float())
        return found
