"""One run in several processes: what they are told of each other, whole weights out of shards, and who samples.

Data parallelism (DDP) and PyTorch's sharding (FSDP2) by accelerate. What neither does right here is refused.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import DistributedType, InitProcessGroupKwargs, gather_object
from accelerate.utils.fsdp_utils import fsdp2_prepare_model
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict

from policy.errors import ConfigError
from train.precision import compute_dtype, is_mixed, own_dtype, save
from train.rl.checkpoint import write_folder
from train.rl.colocated import Colocated
from train.rl.config import RLSettings
from train.rl.sampler import Sampler
from train.rl.setup import Inputs
from train.rl.stop import Stop
from train.rl.writer import Local, Served, Writer

__all__ = [
    "PATIENCE",
    "Actor",
    "check_launch",
    "check_writer",
    "deal_weights",
    "hold_still",
    "is_sharded",
    "make_accelerator",
    "refresh",
    "sampler_of",
    "whole_state",
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
    check_launch(accelerator)
    check_writer(settings, accelerator.num_processes)
    if settings.ppo.critic_average and is_sharded(accelerator):
        raise ConfigError("ppo.critic_average: needs whole weights in every process, which FSDP does not keep")
    return accelerator


def check_launch(state: PartialState | Accelerator) -> None:
    """Raises ConfigError where a run was launched with what does not work here."""
    if state.distributed_type == DistributedType.DEEPSPEED:
        raise ConfigError("judger-train rl: DeepSpeed is not supported; launch it with FSDP2 or DDP")
    if state.distributed_type == DistributedType.FSDP and not state.is_fsdp2:
        raise ConfigError("judger-train rl: FSDP of version 1 is not supported; set fsdp_version: 2")


def check_writer(settings: RLSettings, processes: int) -> None:
    """Raises ConfigError where vLLM is to stand beside the learner and can't."""
    if settings.colocated is None:
        return
    if processes > 1:
        raise ConfigError("colocated: is for a run of one process; for several take a server ([vllm])")
    if importlib.util.find_spec("vllm") is None:
        raise ConfigError("colocated: vLLM is not installed (pip install 'checklist-judger[vllm]')")


def is_sharded(accelerator: Accelerator) -> bool:
    """Whether a process holds a part of each weight."""
    return accelerator.distributed_type in (DistributedType.FSDP, DistributedType.DEEPSPEED)


def hold_still(model: Any, accelerator: Accelerator) -> Any:
    """A model that is never learned, where the others are: sharded as they are, or whole in each process."""
    model = model.eval().requires_grad_(False)
    return fsdp2_prepare_model(accelerator, model) if is_sharded(accelerator) else model.to(accelerator.device)


def deal_weights(sharded: nn.Module, whole: nn.Module | None) -> None:
    """Give a model in shards the weights of a whole one, which the first process has."""
    options = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)
    set_model_state_dict(sharded, {} if whole is None else whole.state_dict(), options=options)


def whole_weights(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """(name, weight), one after the other and never all at once. Every process has to go through all of them."""
    for name, weight in model.named_parameters():
        found = weight.detach()
        yield name.removeprefix("module."), found.full_tensor() if hasattr(found, "full_tensor") else found


def whole_state(model: nn.Module, accelerator: Accelerator) -> dict[str, Tensor]:
    """A model's state_dict, whole in the first process. All processes have to ask for it."""
    state: dict[str, Tensor] = accelerator.get_state_dict(model)
    return state


class Actor(Local):
    """The model that writes the episodes, whole in each process.

    In float32 and unsharded it is the learner's own. Else it is a copy in the precision of the passes, which reads half
    as many bytes a token and waits for no other process; `refresh` brings it up to date.
    """

    def __init__(self, learned: Any, accelerator: Accelerator, settings: RLSettings, config: Any, *, cpu: bool) -> None:
        self._learned = learned
        dtype = compute_dtype(settings.precision, cpu=cpu)
        self._is_copy = is_sharded(accelerator) or dtype != torch.float32
        if not self._is_copy:
            super().__init__(accelerator.unwrap_model(learned))
            return
        from transformers import AutoModelForCausalLM

        copy = AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation="sdpa")
        super().__init__(copy.to(accelerator.device).eval().requires_grad_(False))

    @torch.no_grad()
    def refresh(self) -> None:
        if self._is_copy:
            own = dict(self.model.named_parameters())
            for name, weight in whole_weights(self._learned):
                own[name].copy_(weight)


def refresh(writer: Writer, accelerator: Accelerator) -> None:
    """Bring who samples up to date. Raises Stop in every process where it fails in one."""
    lost: Stop | None = None
    try:
        writer.refresh()
    except Stop as error:
        lost = error
    if accelerator.num_processes > 1:
        reasons = gather_object(["" if lost is None else str(lost)])
        for number, reason in enumerate(reasons):
            if reason and lost is None:
                lost = Stop(f"process {number}: {reason}")
    if lost is not None:
        raise lost


def sampler_of(
    learned: Any,
    accelerator: Accelerator,
    inputs: Inputs,
    settings: RLSettings,
    out: Path,
    *,
    cpu: bool,
) -> tuple[Sampler, Writer]:
    """Who samples a run's episodes, and the writer behind it, whose `refresh` goes before each batch."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(out / "reference")
    common: dict[str, Any] = {name: getattr(settings, name) for name in ("temperature", "turn_tokens", "linger")}
    if settings.vllm is None and settings.colocated is None:
        actor = Actor(learned, accelerator, settings, config, cpu=cpu)
        return Sampler(actor.model, inputs.tokenizer, writer=actor, **common), actor
    model, dtype = accelerator.unwrap_model(learned), own_dtype(str(out / "reference"))
    wanted = getattr(torch, dtype)

    def write(folder: Path) -> None:
        state = whole_state(learned, accelerator)
        if accelerator.is_main_process:
            write_folder(folder, lambda part: save(model, inputs.tokenizer, part, dtype=dtype, state=state))
        accelerator.wait_for_everyone()

    if settings.colocated is not None:
        beside = Colocated(out / "reference", settings.colocated, folder=out / "sampler", dtype=dtype, save=write)
        return Sampler(model, inputs.tokenizer, writer=beside, batch=settings.colocated.at_once, **common), beside
    assert settings.vllm is not None
    served = Served(
        settings.vllm,
        folder=out / "sampler",
        is_main=accelerator.is_main_process,
        device=accelerator.device,
        weights=lambda: ((name, weight.to(wanted)) for name, weight in whole_weights(learned)),
        save=write,
    )
    several = {"batch": 1, "threads": settings.vllm.at_once}
    return Sampler(model, inputs.tokenizer, writer=served, **several, **common), served
