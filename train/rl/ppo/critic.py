"""The critic: a copy of the policy's backbone with a head that says what the episode will still earn."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from judger.types import Criterion
from train.precision import without_dropout
from train.rl.batch import Micro

__all__ = ["Critic", "averaged", "rubric_text", "values"]


class Critic(nn.Module):
    """`backbone` is a transformer of transformers without its language head. Dropout is off, training or not.

    The head computes in its own precision: a bfloat16 value is right to 0.4% alone.
    """

    def __init__(self, backbone: nn.Module, hidden: int) -> None:
        super().__init__()
        self.backbone = backbone
        # The head begins at 0: the first advantages are the plain returns.
        self.head = nn.Linear(hidden, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        without_dropout(self)
        # The layers by which FSDP shards.
        self._no_split_modules = list(getattr(backbone, "_no_split_modules", None) or [])

    @classmethod
    def of(cls, policy: Any) -> Critic:
        """A critic that begins from the policy's own weights."""
        backbone = copy.deepcopy(policy.base_model)
        return cls(backbone, policy.config.get_text_config(decoder=True).hidden_size)

    def forward(self, **inputs: Tensor) -> Tensor:
        """(B, L) values: at each position, what is still to come after its token. `inputs` are the backbone's."""
        states = self.backbone(**inputs, use_cache=False).last_hidden_state
        with torch.autocast(states.device.type, enabled=False):
            found: Tensor = self.head(states.to(self.head.weight.dtype))[..., 0].float()
        return found


def values(critic: nn.Module, micro: Micro) -> Tensor:
    """(B, T) values before each sampled token, 0 in the padding."""
    found: Tensor = critic(**micro.inputs)[micro.lines[:, None], micro.places] * micro.valid
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
