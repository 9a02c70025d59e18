"""One run in several processes: what they are told of each other, whole weights out of shards, and who samples.

Data parallelism (DDP) and PyTorch's sharding (FSDP2) by accelerate. What neither does right here is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType, InitProcessGroupKwargs
from accelerate.utils.fsdp_utils import fsdp2_prepare_model
from torch import Tensor, nn

from policy.errors import ConfigError
from train.precision import compute_dtype, is_mixed
from train.rl.config import RLSettings

__all__ = [
    "PATIENCE",
    "Actor",
    "config_of",
    "hold_still",
    "is_sharded",
    "make_accelerator",
    "whole_state",
    "whole_weights",
]

PATIENCE = timedelta(hours=2)
"""How long a process waits for the others: their episodes may take that much longer than its own."""


def make_accelerator(settings: RLSettings, *, cpu: bool, wait: float = 0.0) -> Accelerator:
    """`wait`: seconds that a process may wait for its judge while the others wait for it. Raises ConfigError."""
    accelerator = Accelerator(
        cpu=cpu,
        mixed_precision="bf16" if is_mixed(settings.precision, cpu=cpu) else "no",
        kwargs_handlers=[InitProcessGroupKwargs(timeout=PATIENCE + timedelta(seconds=wait))],
    )
    kind = accelerator.distributed_type
    if kind == DistributedType.DEEPSPEED:
        raise ConfigError("judger-train rl: DeepSpeed is not supported; launch it with FSDP2 or DDP")
    if kind == DistributedType.FSDP and not accelerator.is_fsdp2:
        raise ConfigError("judger-train rl: FSDP of version 1 is not supported; set fsdp_version: 2")
    if settings.ppo.critic_average and is_sharded(accelerator):
        raise ConfigError("ppo.critic_average: needs whole weights in every process, which FSDP does not keep")
    return accelerator


def is_sharded(accelerator: Accelerator) -> bool:
    """Whether a process holds a part of each weight."""
    return accelerator.distributed_type in (DistributedType.FSDP, DistributedType.DEEPSPEED)


def hold_still(model: Any, accelerator: Accelerator) -> Any:
    """A model that is never learned, where the others are: sharded as they are, or whole in each process."""
    model = model.eval().requires_grad_(False)
    return fsdp2_prepare_model(accelerator, model) if is_sharded(accelerator) else model.to(accelerator.device)


def whole_weights(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """(name, weight), one after the other and never all at once. Every process has to go through all of them."""
    for name, weight in model.named_parameters():
        found = weight.detach()
        yield name.removeprefix("module."), found.full_tensor() if hasattr(found, "full_tensor") else found


def whole_state(model: nn.Module, accelerator: Accelerator) -> dict[str, Tensor]:
    """A model's state_dict, whole in the first process. All processes have to ask for it."""
    state: dict[str, Tensor] = accelerator.get_state_dict(model)
    return state


class Actor:
    """The model that writes the episodes, whole in each process.

    In float32 and unsharded it is the learner's own. Else it is a copy in the precision of the passes, which reads half
    as many bytes a token and waits for no other process; `refresh` brings it up to date.
    """

    def __init__(self, learned: Any, accelerator: Accelerator, settings: RLSettings, config: Any, *, cpu: bool) -> None:
        self._learned = learned
        dtype = compute_dtype(settings.precision, cpu=cpu)
        self._is_copy = is_sharded(accelerator) or dtype != torch.float32
        if not self._is_copy:
            self.model = accelerator.unwrap_model(learned)
            return
        from transformers import AutoModelForCausalLM

        copy = AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation="sdpa")
        self.model = copy.to(accelerator.device).eval().requires_grad_(False)

    @torch.no_grad()
    def refresh(self) -> None:
        """Take over the learner's weights. All processes have to ask for it."""
        if self._is_copy:
            own = dict(self.model.named_parameters())
            for name, weight in whole_weights(self._learned):
                own[name].copy_(weight)


def config_of(folder: str | Path) -> Any:
    """The config of a model folder, which a model of the same shape is made by."""
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(folder)
