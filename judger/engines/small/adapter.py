"""What was trained of the reader, as it ships: adapters in int8, each row with its scale, and the head.

An adapter is two thin matrices whose product is added to a weight of the base (LoRA, Hu et al. 2021); served, they are
added once, when the reader is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

HEAD = ("head.weight", "head.bias")
DOWN, UP = ".down", ".up"


def save(file: Path, adapters: Mapping[str, tuple[Tensor, Tensor]], head: Mapping[str, Tensor]) -> None:
    """adapters: of a weight of the base by its name, (rank, in) and (out, rank), the scale already in it."""
    tensors = {name: head[name].detach().float().cpu().contiguous() for name in HEAD}
    for name, (down, up) in adapters.items():
        tensors |= _packed(name + DOWN, down) | _packed(name + UP, up.T)
    save_file(tensors, str(file))
    file.chmod(0o644)


def add(file: Path, model: nn.Module) -> None:
    """Adds what `save` wrote to the weights of a model. Raises ValueError for a file of another one."""
    tensors = load_file(str(file))
    weights = dict(model.named_parameters())
    names = {name.removesuffix(DOWN) for name in tensors if name.endswith(DOWN)}
    if not names <= set(weights) or not set(HEAD) <= set(tensors):
        raise ValueError(f"{file}: adapters of another model")
    with torch.no_grad():
        for name in sorted(names):
            down, up = _unpacked(tensors, name + DOWN), _unpacked(tensors, name + UP).T
            weight = weights[name]
            if weight.shape != (up.shape[0], down.shape[1]):
                raise ValueError(f"{file}: {name} has another shape in the base")
            weight.copy_((weight.float() + (up @ down).to(weight.device)).to(weight.dtype))
        for name in HEAD:
            weights[name].copy_(tensors[name])


def _packed(name: str, value: Tensor) -> dict[str, Tensor]:
    """Rows as int8, each with its scale."""
    value = value.detach().float().cpu()
    scale = value.abs().amax(1).clamp_min(1e-12) / 127
    return {name: (value / scale[:, None]).round().to(torch.int8).contiguous(), f"{name}.scale": scale.contiguous()}


def _unpacked(tensors: Mapping[str, Tensor], name: str) -> Tensor:
    return tensors[name].float() * tensors[f"{name}.scale"][:, None]
