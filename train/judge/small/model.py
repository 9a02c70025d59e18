"""The reader as it is trained: adapters on its upper layers. The lower ones are frozen and see every row once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from judger.engines.small.model import SmallReader
from train.judge.packed import Lesson

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
ALPHA = 2
"""An adapter's product counts so many times."""


class TrainedReader(SmallReader):
    """Lessons -> logits (criteria, 3) of not, partially, fully.

    Args:
        frozen: of the model's layers, so many from below are left as they are.
        rank: of the adapters.
    """

    def __init__(self, folder: str | Path, *, frozen: int, rank: int, dtype: torch.dtype = torch.bfloat16) -> None:
        from peft import LoraConfig, inject_adapter_in_model

        super().__init__(folder, dtype=dtype)
        self.frozen = frozen
        config = LoraConfig(
            r=rank,
            lora_alpha=ALPHA * rank,
            target_modules=list(TARGETS),
            layers_to_transform=list(range(frozen, len(self.base.layers))),
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
    def lower(self, row: Lesson) -> Tensor:
        """(1, T, width): the states after the frozen layers."""
        return self.layers(self.embed(row), row, 0, self.frozen)

    def upper(self, states: Tensor, row: Lesson) -> Tensor:
        """The rest of the way, from what `lower` gave: (criteria, 3)."""
        return self.ends(self.layers(states, row, self.frozen, len(self.base.layers)), row)


def label_loss(logits: Tensor, rows: Sequence[Lesson]) -> Tensor:
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
