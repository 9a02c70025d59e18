"""Small random-weight models and a tokenizer, made on the spot: no download, seconds on a CPU."""

from __future__ import annotations

import functools
import itertools
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from judger import prompt
from judger.types import Case, Criterion

CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
WORDS = (
    "the",
    "report",
    "names",
    "cost",
    "energy",
    "north",
    "wind",
    "solar",
    "grid",
    "storage",
    "market",
    "risk",
    "source",
)
QWEN_PIECES = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""Qwen's own cut. GPT-2's, the default here, cuts line ends before a word in two, so that no reply's first word is one
token behind the template: vLLM's decisions refuse such a tokenizer."""


@functools.cache
def _tokenizer(vocabulary: int, is_qwen: bool) -> str:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if is_qwen:
        cut = pre_tokenizers.Split(Regex(QWEN_PIECES), "isolated")
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [cut, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
        )
    tokenizer.decoder = decoders.ByteLevel()
    labels = " ".join(f"{prompt.CUE} {word}." for word in prompt.LabelWords())
    texts = [prompt.template(name) for name in prompt.FILES] + [
        labels,
        " ".join(WORDS),
        "system user assistant <think>\n\n</think>\n\n",
        *(["\nyes\nno\n"] if is_qwen else []),
    ]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<|im_start|>", "<|im_end|>"],
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts * 30, trainer)
    return str(tokenizer.to_str())


def tokenizer(*, chat_template: str | None = CHAT, vocabulary: int = 1200, is_qwen: bool = False) -> Any:
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(_tokenizer(vocabulary, is_qwen)),
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        additional_special_tokens=["<|im_start|>"],
        chat_template=chat_template,
    )


SHAPE: dict[str, Any] = {
    "vocab_size": 1200,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 8192,
    "initializer_range": 0.2,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 1,
}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "qwen2": ("Qwen2Config", {"head_dim": None}),
    "qwen3": ("Qwen3Config", {}),
    "qwen3-moe": (
        "Qwen3MoeConfig",
        {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24, "decoder_sparse_step": 1},
    ),
    "llama": ("LlamaConfig", {}),
    "mistral": ("MistralConfig", {"sliding_window": None}),
    "mistral-window": ("MistralConfig", {"sliding_window": 24}),
    "gemma": ("GemmaConfig", {}),
    "gemma2": ("Gemma2Config", {"sliding_window": 16, "query_pre_attn_scalar": 8}),
    "gemma3": ("Gemma3TextConfig", {"sliding_window": 16, "query_pre_attn_scalar": 8, "num_hidden_layers": 7}),
    "gpt-oss": (
        "GptOssConfig",
        {
            "num_local_experts": 4,
            "num_experts_per_tok": 2,
            "sliding_window": 16,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e4},
        },
    ),
    "phi3": ("Phi3Config", {}),
    "olmo2": ("Olmo2Config", {}),
}
"""By a name of our own: transformers' config class and what differs from SHAPE."""


def model(kind: str, *, seed: int = 0, **changes: Any) -> Any:
    """A random-weight model of one architecture, float32 unless `dtype` is given."""
    config_class, special = MODELS.get(kind, (kind, {}))
    dtype = changes.pop("dtype", torch.float32)
    settings = {key: value for key, value in {**SHAPE, **special, **changes}.items() if value is not None}
    for key, value in special.items():
        if value is None and key == "sliding_window":
            settings[key] = None
    torch.manual_seed(seed)
    config = getattr(transformers, config_class)(**settings)
    made = AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation="eager")
    with torch.no_grad():
        for parameter in made.parameters():  # biases and norms too, which start as zeros and ones
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return made.eval()


def save(path: Path, kind: str = "qwen3", *, is_qwen: bool = False, **changes: Any) -> str:
    """Writes a model and the tokenizer as a checkpoint folder."""
    model(kind, **changes).save_pretrained(path)
    tokenizer(is_qwen=is_qwen).save_pretrained(path)
    return str(path)


def words(count: int, start: int = 0) -> str:
    return " ".join(itertools.islice(itertools.cycle(WORDS[start % len(WORDS) :] + WORDS), count))


def case(num_criteria: int = 3, *, report_words: int = 60, query: str = "What does wind cost?", seed: int = 0) -> Case:
    """A case whose criteria alternate between requirements and flaws and differ in length."""
    return Case(
        id=f"case-{seed}",
        query=query,
        report=words(report_words, seed),
        criteria=tuple(
            Criterion(id=f"c{i}", text=words(3 + (5 * i + seed) % 11, i + seed), weight=-1.0 if i % 3 == 1 else 1.0)
            for i in range(num_criteria)
        ),
    )
