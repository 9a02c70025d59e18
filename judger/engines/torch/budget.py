"""How many tokens one forward may hold in the memory that it is given."""

from __future__ import annotations

from judger.engines.torch.load import LoadedModel
from judger.errors import EngineError

__all__ = ["step_budget"]

MOST = {"cpu": 1024}
"""Tokens of a forward at most, where more are slower: on a CPU a layer's activations leave the caches, and the blocks
that hold them are too large for the allocator to use again, so that each is handed out in fresh, zeroed pages."""


def step_budget(loaded: LoadedModel, step_bytes: int) -> tuple[int, int]:
    """How many tokens one forward may hold within `step_bytes`, and for how many more a branch counts that is read.

    Counted generously, per token: residual, norm and its float32 copy; three inner activations; queries, keys, values,
    outputs and their merges. A branch's logits are there once as they are and twice in float32.
    """
    config = loaded.model.config.get_text_config()
    hidden = int(config.hidden_size)
    inner = int(getattr(config, "intermediate_size", 0) or 4 * hidden)
    heads = int(getattr(config, "num_attention_heads", 1))
    head_dim = int(getattr(config, "head_dim", 0) or hidden // heads)
    per_token = loaded.dtype.itemsize * (4 * hidden + 3 * inner + 8 * heads * head_dim) + 4 * 2 * hidden
    per_leaf = int(config.vocab_size) * (loaded.dtype.itemsize + 4 * 2)
    tokens, leaf_tokens = step_bytes // per_token, -(-per_leaf // per_token)
    if tokens < 64 + leaf_tokens:
        raise EngineError(f"step_bytes={step_bytes} holds fewer than 64 tokens of this model: raise it")
    return min(tokens, MOST.get(loaded.device.type, 2**16)), leaf_tokens
