"""Loads a causal model of transformers, refuses what the cascade can't judge exactly, and proves the rest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from safetensors import SafetensorError

from judger.engines.find import check_model, show_bars
from judger.engines.torch import attention
from judger.engines.torch.check import self_check
from judger.errors import EngineError

__all__ = ["DTYPES", "LoadedModel", "load_model", "prepare", "refusal"]

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
EXACT_LAYERS = ("full_attention", "sliding_attention")
MOVING_ROPE = ("dynamic", "longrope")


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model ready for the cascade."""

    name: str
    model: Any
    tokenizer: Any
    dtype: torch.dtype
    device: torch.device
    weights: str
    """Digest of all parameters and buffers."""
    max_tokens: int
    """The longest prompt the model takes; 0 where it states none."""
    ends: frozenset[int] = frozenset()
    """Tokens that end what the model writes, by its own settings."""
    trim: bool = False
    """Whether its last layer can be computed at the places alone that are read."""


def load_model(name: str, *, device: str = "auto", dtype: str = "auto", bars: bool = False) -> LoadedModel:
    """The model and tokenizer at a path or a hub name. Safetensors only, no code from the repository.

    `auto` is CUDA and bfloat16 where there is CUDA, else the CPU and float32. `bars`: the libraries' progress bars on
    standard error. Raises EngineError, and InvalidRequest for what is no model.
    """
    check_model(name)
    show_bars(bars)
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if dtype == "auto":
        dtype = "bfloat16" if device.startswith("cuda") else "float32"
    if dtype not in DTYPES:
        raise EngineError(f"dtype {dtype!r}: one of auto, {', '.join(DTYPES)}")
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
        model = AutoModelForCausalLM.from_pretrained(
            name, dtype=DTYPES[dtype], use_safetensors=True, trust_remote_code=False, attn_implementation="eager"
        )
    except (OSError, ValueError, KeyError, ImportError, SafetensorError) as error:
        raise EngineError(f"{name}: can't be loaded: {error}") from error
    return prepare(model.to(device), tokenizer, name=name)


def prepare(model: Any, tokenizer: Any, *, name: str) -> LoadedModel:
    """Switches a loaded model to the cascade's attention; EngineError, with the reason, where that isn't exact."""
    reason = refusal(model)
    if reason:
        raise EngineError(f"{name}: {reason}")
    model.eval().requires_grad_(False)
    attention.register()
    parameter = next(model.parameters())
    trim = self_check(model, name)
    return LoadedModel(
        name=name,
        model=model,
        tokenizer=tokenizer,
        dtype=parameter.dtype,
        device=parameter.device,
        weights=weights_digest(model),
        max_tokens=int(getattr(model.config.get_text_config(), "max_position_embeddings", 0) or 0),
        ends=end_ids(model),
        trim=trim,
    )


def end_ids(model: Any) -> frozenset[int]:
    """The end tokens of the model's configurations, each of which may name none, one or several."""
    found: set[int] = set()
    for config in (model.config.get_text_config(), getattr(model, "generation_config", None)):
        named = getattr(config, "eos_token_id", None)
        found.update([named] if isinstance(named, int) else named or ())
    return frozenset(found)


def refusal(model: Any) -> str:
    """Why this architecture can't share a prefix among branches exactly; empty where it may be able to."""
    kind = type(model).__name__
    config = model.config.get_text_config()
    others = sorted({str(layer) for layer in getattr(config, "layer_types", None) or ()} - set(EXACT_LAYERS))
    if getattr(model, "_is_stateful", False) or any("linear" in layer for layer in others):
        return f"{kind} is a recurrent or linear-attention architecture: its state can't be branched. Use vllm for it"
    if others:
        return f"{kind} has layers of a kind that the cascade does not know: {', '.join(others)}"
    if getattr(config, "is_encoder_decoder", False):
        return f"{kind} is an encoder-decoder model"
    if not getattr(model, "_supports_attention_backend", False):
        return f"{kind} does not take an attention function of transformers' AttentionInterface"
    moving = sorted(rope_types(getattr(config, "rope_parameters", None)) & set(MOVING_ROPE))
    if moving:
        return f"{kind} has {moving[0]} rotary embeddings, which change with the length of the company"
    return ""


def rope_types(parameters: object) -> set[str]:
    """Every rope_type in a config's rope parameters, which may be nested by layer type."""
    if not isinstance(parameters, Mapping):
        return set()
    found = {str(parameters["rope_type"])} if "rope_type" in parameters else set()
    return found.union(*(rope_types(value) for value in parameters.values()))


def weights_digest(model: Any) -> str:
    """Digest of names, shapes, types and bytes of the state, 16 hex digits: the same whatever files it came from."""
    hasher = hashlib.sha256()
    for key, tensor in sorted(model.state_dict().items()):
        if isinstance(tensor, torch.Tensor):
            hasher.update(f"{key} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
            hasher.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return hasher.hexdigest()[:16]
