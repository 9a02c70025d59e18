"""In what precision a model is trained, in one place for every stage.

Weights that are learned, their gradients and Adam's moments are float32: an update of 1e-6 is lost in a bfloat16
weight, whose neighbours lie 0.4% apart. The passes run in bfloat16 under autocast where a GPU can (Micikevicius et al.
2018, arXiv 1710.03740). What is not learned (a reference, the base under adapters, a copy that only samples) is held in
the precision of the passes. A model is written in the precision it came in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch

__all__ = ["Precision", "compute_dtype", "is_mixed", "load", "own_dtype", "save", "without_dropout"]

Precision = Literal["auto", "float32", "bfloat16"]
"""Of the passes. auto: bfloat16 on a GPU that computes in it, else float32."""


def is_mixed(precision: Precision, *, cpu: bool) -> bool:
    """Whether the passes run in bfloat16, below the weights' precision. `cpu`: no GPU is used even if there is one."""
    if precision != "auto":
        return precision == "bfloat16"
    import torch

    return not cpu and torch.cuda.is_available() and torch.cuda.is_bf16_supported()


def compute_dtype(precision: Precision, *, cpu: bool) -> torch.dtype:
    """The type the passes run in."""
    import torch

    return torch.bfloat16 if is_mixed(precision, cpu=cpu) else torch.float32


def own_dtype(model: str) -> str:
    """The precision a model folder or hub name says it is in; float32 where it says none."""
    from transformers import AutoConfig

    dtype = AutoConfig.from_pretrained(model).get_text_config(decoder=True).dtype
    return "float32" if dtype is None else str(dtype).removeprefix("torch.")


def load(model: str, *, dtype: torch.dtype | None = None, attention: str = "sdpa", config: Any = None) -> Any:
    """The causal model, in float32 to be learned, or as `dtype` to be held still. Raises OSError and ValueError."""
    import torch
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(
        model, dtype=dtype or torch.float32, attn_implementation=attention, config=config
    )


def save(model: Any, tokenizer: Any, folder: Path, *, dtype: str, state: Mapping[str, Any] | None = None) -> None:
    """Write a model folder for `from_pretrained`: weights and config in the precision `dtype`, tokenizer and template.
    `state`: the weights, where they are not whole in `model` itself."""
    import torch

    wanted = getattr(torch, dtype)
    found = model.state_dict() if state is None else state
    # One storage stays one, so that tied weights are still seen to be tied.
    cast: dict[int, Any] = {}
    for value in found.values():
        if value.is_floating_point() and value.dtype != wanted:
            cast.setdefault(id(value), value.to(wanted))
    weights = {name: cast.get(id(value), value) for name, value in found.items()}
    model.save_pretrained(folder, state_dict=weights)
    tokenizer.save_pretrained(folder)
    path = folder / "config.json"
    if cast and path.is_file():
        config = json.loads(path.read_text(encoding="utf-8"))
        for part in (config, *(value for value in config.values() if isinstance(value, dict))):
            if "dtype" in part:
                part["dtype"] = dtype
        path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def without_dropout(model: Any) -> Any:
    """The model with every dropout at 0, so that training mode (which gradient checkpointing asks for) changes no
    number."""
    import torch

    configs = [getattr(module, "config", None) for module in model.modules()]
    for config in {id(config): config for config in configs if config is not None}.values():
        if hasattr(config, "attention_dropout"):
            config.attention_dropout = 0.0
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if isinstance(getattr(module, "attention_dropout", None), float):
            module.attention_dropout = 0.0
    return model
