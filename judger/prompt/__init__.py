"""The prompt: a small `tree` over the texts beside it, and the `fence` that keeps a report in its place."""

from judger.prompt.tree import (
    CUE,
    FILES,
    LABELS,
    LabelWords,
    PairWords,
    PromptText,
    digest,
    messages,
    pair_text,
    prompt_text,
    template,
)

__all__ = [
    "CUE",
    "FILES",
    "LABELS",
    "LabelWords",
    "PairWords",
    "PromptText",
    "digest",
    "messages",
    "pair_text",
    "prompt_text",
    "template",
]
