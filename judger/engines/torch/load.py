"""Loads a causal model of transformers, refuses what the cascade can't judge exactly, and proves the rest."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from judger.engines.tokens import Tree
from judger.engines.torch import attention
from judger.engines.torch.cascade import Cascade
from judger.engines.torch.last import wrap_last_layer
from judger.errors import EngineError

__all__ = ["DTYPES", "LoadedModel", "load_model", "prepare", "refusal"]

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
TOLERANCE = {torch.float32: 1e-3, torch.float16: 0.05, torch.bfloat16: 0.3}
"""How far a log-probability of the self-check may be off; a wrong mask is off by far more."""

EXACT_LAYERS = ("full_attention", "sliding_attention")
MOVING_ROPE = ("dynamic", "longrope")
DOES_NOT_RUN = (ValueError, TypeError, RuntimeError, AttributeError, KeyError)
"""What a model's code raises when it is handed what it doesn't know."""


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
    trim: bool = False
    """Whether its last layer can be computed at the places alone that are read."""


def load_model(name: str, *, device: str = "auto", dtype: str = "auto") -> LoadedModel:
    """The model and tokenizer at a path or a hub name. Safetensors only, no code from the repository.

    `auto` is CUDA and bfloat16 where there is CUDA, else the CPU and float32. Raises EngineError.
    """
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
    except (OSError, ValueError, KeyError, ImportError) as error:
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
    trim, off = self_check(model, name, TOLERANCE[parameter.dtype])
    if not off <= TOLERANCE[parameter.dtype]:
        raise EngineError(
            f"{name}: {type(model).__name__} can't be judged in one pass: a branch on a shared prefix differs from "
            f"its lone prompt by {off:.3g} in log-probability. Use the vllm engine for it"
        )
    return LoadedModel(
        name=name,
        model=model,
        tokenizer=tokenizer,
        dtype=parameter.dtype,
        device=parameter.device,
        weights=weights_digest(model),
        max_tokens=int(getattr(model.config.get_text_config(), "max_position_embeddings", 0) or 0),
        trim=trim,
    )


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


@torch.inference_mode()
def self_check(model: Any, name: str, tolerance: float) -> tuple[bool, float]:
    """Largest difference of log-probability between the cascade and the model's own attention on a small tree, and
    whether that is with the last layer trimmed: a model that doesn't bear it is computed whole.

    Leaves the model with the cascade's attention. It catches what no list of architectures would: position biases,
    attention sinks, layers that share keys, models that drop the keyword.
    """
    generator = torch.Generator().manual_seed(0)
    vocabulary = int(model.config.get_text_config().vocab_size)

    def some(count: int) -> tuple[int, ...]:
        return tuple(torch.randint(0, vocabulary, (count,), generator=generator).tolist())

    tree = Tree(
        shared=some(5),
        report=some(24),
        polarities=(some(4), some(6)),
        branches=((0, some(3)), (1, some(6)), (0, some(5)), (1, some(2))),
    )
    wanted = range(len(tree.branches))
    columns = some(32)
    device = next(model.parameters()).device
    model.set_attn_implementation("eager")
    lone = []
    for index in wanted:
        logits = model(input_ids=torch.tensor([tree.lone(index)], device=device), use_cache=False).logits[0, -1]
        lone.append(torch.log_softmax(logits.float(), -1)[list(columns)].cpu())

    def difference(trim: bool) -> float:
        cascade = Cascade(model, step_tokens=4096, cache_bytes=0, trim=trim)
        (ours,) = cascade.log_probs([(tree, wanted)], columns)
        return float((ours - torch.stack(lone)).abs().max())

    try:
        model.set_attn_implementation(attention.NAME)
        if wrap_last_layer(model):
            with contextlib.suppress(*DOES_NOT_RUN):
                off = difference(True)
                if off <= tolerance:
                    return True, off
        return False, difference(False)
    except DOES_NOT_RUN as error:
        raise EngineError(f"{name}: {type(model).__name__} does not run in one pass: {error}") from error


def weights_digest(model: Any) -> str:
    """Digest of names, shapes, types and bytes of the state, 16 hex digits: the same whatever files it came from."""
    hasher = hashlib.sha256()
    for key, tensor in sorted(model.state_dict().items()):
        if isinstance(tensor, torch.Tensor):
            hasher.update(f"{key} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
            hasher.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return hasher.hexdigest()[:16]
