"""Tiny models of real architectures, saved as their makers save them: in bfloat16."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM

SHAPES = ("qwen2.5", "qwen3")


def random_model(shape: str, tokenizer: PreTrainedTokenizerFast, *, hidden: int = 32, tied: bool = True) -> Any:
    """A float32 model: grouped queries, biases on queries and keys (Qwen2.5) or their norms (Qwen3)."""
    torch.manual_seed(0)
    common: dict[str, Any] = {
        "vocab_size": len(tokenizer), "hidden_size": hidden, "intermediate_size": 2 * hidden, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 2048,
        "initializer_range": hidden**-0.5, "tie_word_embeddings": tied, "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id, "bos_token_id": None,
    }  # fmt: skip
    if shape == "qwen2.5":
        return Qwen2ForCausalLM(Qwen2Config(**common))
    return Qwen3ForCausalLM(Qwen3Config(**common, head_dim=16))


def save_bf16(model: Any, tokenizer: PreTrainedTokenizerFast, folder: Path) -> Path:
    """A checkpoint as it would be downloaded."""
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
