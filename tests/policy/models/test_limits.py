"""What endpoints say of a prompt that is too long, as they document it or as it was reported to them."""

from __future__ import annotations

import pytest

from policy.models.limits import TooLong, too_long

WORDS = {
    "vLLM": (
        "'max_tokens' or 'max_completion_tokens' is too large: 16384. This model's maximum context length is 16384 "
        "tokens and your request has 3000 input tokens (16384 > 16384 - 3000).",
        TooLong(16384, 3000),
    ),
    "vLLM, the prompt": (
        "The decoder prompt (length 20000) is longer than the maximum model length of 16384.",
        TooLong(16384, 20000),
    ),
    "OpenAI": (
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
        TooLong(8192, 9000),
    ),
    "OpenAI, the reply": (
        "max_tokens is too large: 16384. This model supports at most 4096 completion tokens.",
        TooLong(reply=4096),
    ),
    "Anthropic": ("prompt is too long: 208310 tokens > 200000 maximum", TooLong(200000, 208310)),
    "Gemini": (
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
        TooLong(1048576, 1200000),
    ),
    "xAI": (
        "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
        TooLong(131072, 537812),
    ),
    "Mistral": (
        "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
        TooLong(32768, 40000),
    ),
    "LM Studio": (
        "Trying to keep the first 5092 tokens when context the overflows. However, the model is loaded with context "
        "length of only 4096 tokens, which is not enough.",
        TooLong(4096),
    ),
    "llama.cpp": (
        '{"error":{"code":400,"message":"the request exceeds the available context size, try increasing it",'
        '"type":"exceed_context_size_error","n_prompt_tokens":5000,"n_ctx":4096}}',
        TooLong(4096, 5000),
    ),
    "Ollama": ("the input length exceeds the context length", TooLong()),
    "TGI": (
        "`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 3000 `inputs` tokens and 2000 `max_new_tokens`",
        TooLong(4096, 3000),
    ),
}


@pytest.mark.parametrize("name", WORDS)
def test_each_servers_words_are_read(name):
    words, said = WORDS[name]
    assert too_long(400, words) == said


@pytest.mark.parametrize("words", ["Invalid API key", "the model is overloaded", "unknown field: stream_options"])
def test_other_refusals_say_nothing_of_lengths(words):
    assert too_long(400, words) is None
