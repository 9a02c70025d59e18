"""A causal model of transformers as a reader of packed rows: adapters on its upper layers, three outputs at the ends.

The lower layers are frozen and see every row once: their states are kept. A branch attends to the prefix and to
itself, so that it reads what it would read alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from train.judge.packed import ATTENTION, Packed, Seen, register
from train.judge.small.rows import WORDS

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class SmallReader(nn.Module):
    """Packed rows -> logits (criteria, 3) of not, partially, fully.

    Args:
        folder: a causal model of transformers with rotary positions (Llama, Qwen, SmolLM).
        frozen: of its layers, so many from below are left as they are.
        rank: of the adapters.
    """

    def __init__(self, folder: str | Path, *, frozen: int, rank: int, dtype: torch.dtype = torch.bfloat16) -> None:
        from peft import LoraConfig, inject_adapter_in_model
        from transformers import AutoModelForCausalLM, AutoTokenizer

        super().__init__()
        register()
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        whole = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation=ATTENTION)
        whole.requires_grad_(False)
        words = [self.tokenizer(word, add_special_tokens=False)["input_ids"][-1] for word in WORDS]
        self.head = nn.Linear(whole.config.hidden_size, 3)
        with torch.no_grad():
            self.head.weight.copy_(whole.get_output_embeddings().weight[words].float())
            self.head.bias.zero_()
        self.base = whole.model
        self.frozen = frozen
        count = len(self.base.layers)
        config = LoraConfig(
            r=rank,
            lora_alpha=2 * rank,
            target_modules=list(TARGETS),
            layers_to_transform=list(range(frozen, count)),
            layers_pattern="layers",
        )
        inject_adapter_in_model(config, self.base)
        for name, parameter in self.base.named_parameters():
            if "lora_" in name:
                parameter.data = parameter.data.float()

    @property
    def trained(self) -> dict[str, Tensor]:
        """The adapters and the head, by name."""
        return {name: p for name, p in self.named_parameters() if p.requires_grad}

    @torch.no_grad()
    def lower(self, row: Packed) -> Tensor:
        """(1, T, width): the states after the frozen layers."""
        states = self.base.embed_tokens(torch.tensor([row.ids], device=self.head.weight.device))
        return self._layers(states, row, 0, self.frozen)

    def forward(self, states: Tensor, row: Packed) -> Tensor:
        """The rest of the way, from what `lower` gave."""
        states = self._layers(states, row, self.frozen, len(self.base.layers))
        ends = self.base.norm(states[0, row.ends.to(states.device)])
        return self.head(ends.float())  # type: ignore[no-any-return]

    def _layers(self, states: Tensor, row: Packed, first: int, last: int) -> Tensor:
        positions = row.positions[None].to(states.device)
        rotary = self.base.rotary_emb(states, positions)
        seen = Seen(row.prefix, row.mask.to(states.device))
        with torch.autocast(states.device.type, torch.bfloat16, enabled=states.dtype == torch.bfloat16):
            for layer in self.base.layers[first:last]:
                states = layer(
                    states, attention_mask=None, position_ids=positions, position_embeddings=rotary, seen=seen
                )
        return states

    def save(self, file: Path) -> None:
        """Adapters and head alone, in bfloat16."""
        save_file({name: p.detach().to(torch.bfloat16).contiguous() for name, p in self.trained.items()}, str(file))

    def load(self, file: Path) -> None:
        """What `save` wrote."""
        found = load_file(str(file))
        mine = self.trained
        if set(found) != set(mine):
            raise ValueError(f"{file}: adapters of another model or rank")
        with torch.no_grad():
            for name, value in found.items():
                mine[name].copy_(value.float())


def label_loss(logits: Tensor, rows: Sequence[Packed]) -> Tensor:
    """logits (criteria, 3) of all rows together: BCE of the strict bit and half the NLL of the label, weighed."""
    device = logits.device
    labels = torch.tensor([x for row in rows for x in row.labels], device=device)
    negative = torch.tensor([x for row in rows for x in row.negative], device=device)
    weights = torch.tensor([x for row in rows for x in row.weights], device=device)
    p = logits.log_softmax(-1)
    above = torch.where(negative, torch.logsumexp(p[:, 1:], -1), p[:, 2])
    below = torch.where(negative, p[:, 0], torch.logsumexp(p[:, :2], -1))
    strict = -torch.where(torch.where(negative, labels >= 1, labels == 2), above, below)
    each = strict + 0.5 * F.nll_loss(p, labels, reduction="none")
    return (each * weights).sum() / weights.sum()
