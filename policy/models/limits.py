"""What an endpoint says of a prompt that is too long, and what it takes then.

Servers say it in words of their own, with status 400, 413, 422 or 500; its numbers are the window and
what was asked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["TooLong", "too_long"]

_SIGNS = (
    "context_length",  # OpenAI, vLLM, DeepSeek
    "context length",  # the same; Ollama: "input length exceeds the context length"
    "maximum context",
    "maximum model length",  # vLLM
    "maximum prompt length",  # xAI
    "maximum number of tokens",  # Gemini: "the input token count (N) exceeds the maximum number of tokens allowed (M)"
    "max_model_len",
    "exceed_context_size",  # llama.cpp: "the request exceeds the available context size (4096 tokens)"
    "context size",
    "context window",
    "too many tokens",
    "prompt is too long",  # Anthropic's endpoint
    "too large for model",
    "max_new_tokens",  # TGI: "`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 3000 `inputs` tokens and ..."
    "max_tokens",  # OpenAI: "max_tokens is too large: 16384. This model supports at most 4096 completion tokens"
    "max_completion_tokens",
    "maximum input length",
    "input is too long",
    "request too large",
    "entity too large",
)
_WINDOWS = (
    re.compile(
        r"(?:context length|context size|context window|model length|prompt length)"
        r"(?: of only| of| is| \(|: ?| limit of)? ?(\d{3,9})"
    ),
    re.compile(r"tokens allowed \((\d{3,9})"),
    re.compile(r"> (\d{3,9}) maximum"),  # Anthropic
    re.compile(r"with (\d{3,9}) maximum context"),  # Mistral
    re.compile(r"\"?n_ctx\"?'?: ?(\d{3,9})"),
    re.compile(r"must be <= ?(\d{3,9})"),
)
_REPLIES = (re.compile(r"at most (\d{2,9}) completion tokens"),)
_PROMPTS = (
    re.compile(r"(\d{1,9}) (?:tokens )?(?:in|from) the (?:input )?(?:messages|prompt|input)"),
    re.compile(r"\"?n_prompt_tokens\"?'?: ?(\d{1,9})"),
    re.compile(r"request \((\d{1,9}) tokens\) exceeds"),
    re.compile(r"given: (\d{1,9}) `inputs` tokens"),
    re.compile(r"prompt contains (?:at least )?(\d{1,9})"),
    re.compile(r"request (?:has|contains) (\d{1,9}) (?:input )?tokens"),  # vLLM, xAI
    re.compile(r"input token count \((\d{1,9})"),
    re.compile(r"messages resulted in (\d{1,9}) tokens"),
    re.compile(r"prompt \(length (\d{1,9})\)"),
    re.compile(r"too long: (\d{1,9}) tokens"),
)


@dataclass(frozen=True, slots=True)
class TooLong:
    """Tokens that are taken in all, that the prompt has, that a reply may have; None where it is not said."""

    window: int | None = None
    prompt: int | None = None
    reply: int | None = None


def too_long(status: int, words: str) -> TooLong | None:
    """What a refusal says of lengths; None where it is about something else."""
    words = words[:4000].lower()
    if status != 413 and not any(sign in words for sign in _SIGNS):
        return None
    return TooLong(_first(_WINDOWS, words), _first(_PROMPTS, words), _first(_REPLIES, words))


def _first(patterns: tuple[re.Pattern[str], ...], words: str) -> int | None:
    found = (pattern.search(words) for pattern in patterns)
    return next((int(match.group(1)) for match in found if match), None)
