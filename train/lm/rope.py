"""Longer contexts by YaRN (arXiv 2309.00071), as transformers does it: a rotary embedding scaled in the config."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PretrainedConfig

__all__ = ["extend"]


def extend(config: PretrainedConfig, context: int) -> PretrainedConfig:
    """The config for `context` positions, changed in place; as it was where the model takes that many already.

    The factor is against the length that the model was first trained at, however often it is extended. It must be set
    before the model is made: the frequencies are computed then.
    """
    text = config.get_text_config()
    if context <= text.max_position_embeddings:
        return config
    rope = dict(text.rope_parameters)
    first = rope.get("original_max_position_embeddings") or text.max_position_embeddings
    text.rope_parameters = {
        "rope_type": "yarn",
        "rope_theta": rope["rope_theta"],
        "factor": context / first,
        "original_max_position_embeddings": first,
    }
    text.max_position_embeddings = context
    return config
