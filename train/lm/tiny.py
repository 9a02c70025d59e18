"""A model of the Qwen3 family of any size with random weights, and the sizes that learn on two CPU cores in minutes."""

from __future__ import annotations

from dataclasses import dataclass

from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM, set_seed

__all__ = ["TinySizes", "make_model"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TinySizes:
    """Sizes of the demo's model. `context` is the one it is made with; mid-training extends it."""

    vocab: int = 4096
    hidden: int = 128
    layers: int = 4
    heads: int = 4
    intermediate: int = 384
    context: int = 512
    rope_theta: float = 10_000.0


def make_model(tokenizer: PreTrainedTokenizerFast, sizes: TinySizes, *, seed: int = 0) -> Qwen3ForCausalLM:
    """A float32 model for this tokenizer. Weights depend on `seed` and the sizes alone.

    The standard deviation of the weights is 1/sqrt(hidden): with the family's usual 0.02 a model this narrow does not
    learn to copy in the time there is.
    """
    set_seed(seed)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=sizes.hidden,
        intermediate_size=sizes.intermediate,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        num_key_value_heads=sizes.heads,
        head_dim=sizes.hidden // sizes.heads,
        max_position_embeddings=sizes.context,
        rope_parameters={"rope_type": "default", "rope_theta": sizes.rope_theta},
        initializer_range=sizes.hidden**-0.5,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        dtype="float32",
    )
    return Qwen3ForCausalLM(config)
