"""A causal model of transformers as a reader of packed rows: three outputs at the end of each branch.

A branch attends to the prefix and to itself, so that it reads what it would read alone.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from judger.engines.packed import ATTENTION, Packed, Seen, register
from judger.engines.small.rows import WORDS


class SmallReader(nn.Module):
    """Packed rows -> logits (criteria, 3) of not, partially, fully.

    Args:
        folder: a causal model of transformers with rotary positions (Llama, Qwen, SmolLM).
        dtype: of the base; in bfloat16 it computes under autocast.
    """

    def __init__(self, folder: str | Path, *, dtype: torch.dtype = torch.float32) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        super().__init__()
        register()
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
