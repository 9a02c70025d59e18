"""The critic: a copy of the policy's backbone with a head that says what the episode will still earn."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from judger.types import Criterion
from train.rl.ppo.batch import Micro

__all__ = ["Critic", "averaged", "rubric_text", "values"]


class Critic(nn.Module):
    """`backbone` is a transformer of transformers without its language head. Dropout is off, training or not."""

    def __init__(self, backbone: nn.Module, hidden: int) -> None:
        super().__init__()
        self.backbone = backbone
        # The head begins at 0: the first advantages are the plain returns.
        self.head = nn.Linear(hidden, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        for module in self.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        config = getattr(backbone, "config", None)
        if config is not None and hasattr(config, "attention_dropout"):
            config.attention_dropout = 0.0
            for module in backbone.modules():
                if hasattr(module, "attention_dropout"):
                    module.attention_dropout = 0.0

    @classmethod
    def of(cls, policy: Any) -> Critic:
        """A critic that begins from the policy's own weights."""
        backbone = copy.deepcopy(policy.base_model)
        return cls(backbone, policy.config.get_text_config(decoder=True).hidden_size)

    def forward(self, input_ids: Tensor) -> Tensor:
        """(B, L) values: at each position, what is still to come after its token."""
        states = self.backbone(input_ids=input_ids, use_cache=False).last_hidden_state
        found: Tensor = self.head(states)[..., 0].float()
        return found


def values(critic: nn.Module, micro: Micro) -> Tensor:
    """(B, T) values before each sampled token, 0 in the padding."""
    found: Tensor = critic(micro.ids).gather(1, micro.places) * micro.valid
    return found


def averaged(critic: nn.Module, decay: float) -> AveragedModel:
    """A running average of the critic's weights: what the last few minibatches did to it by chance averages out.

    At most `decay` of it is kept at an update; less of it while there were few.
    """

    def average(kept: Tensor, new: Tensor, number: Tensor | int) -> Tensor:
        count = float(number)
        return kept.lerp(new, 1.0 - min(decay, count / (count + 4.0)))

    return AveragedModel(critic, avg_fn=average).requires_grad_(False)


def rubric_text(criteria: Iterable[Criterion]) -> str:
    """The rubric as a critic reads it: a criterion a line, worded as within a sentence, its weight right behind it.

    So what a report repeats of it has the same tokens, and what it is worth stands where attention that continues a
    match (an induction head) looks.
    """
    return "".join(f" {_within(criterion.text)}{criterion.weight:+g}\n" for criterion in criteria)


def _within(text: str) -> str:
    return text[:1].lower() + text[1:].rstrip(".")


def parameters_of(model: nn.Module) -> list[torch.nn.Parameter]:
    """What is trained."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]
