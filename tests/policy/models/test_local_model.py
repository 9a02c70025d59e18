"""A tiny random Qwen3 in this process: the plumbing, not the wits."""

from __future__ import annotations

import asyncio
import math

import pytest

from policy.config import ModelConfig
from policy.errors import ContextFull, ModelError
from policy.models.local import LocalModel, _Streamer
from policy.trajectory import rendered

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

TEMPLATE = (
    "{% if tools %}<|im_start|>system\n{% for tool in tools %}{{ tool | tojson }}{% endfor %}<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}{% for c in m.tool_calls or [] %}<tool_call>"
    "{{ c.function | tojson }}</tool_call>{% endfor %}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
)
TOOLS = [{"type": "function", "function": {"name": "search", "description": "d", "parameters": {"type": "object"}}}]
ASK = [{"role": "user", "content": "hello"}]


@pytest.fixture(scope="module")
def parts():
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    vocabulary = {c: i for i, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    raw = Tokenizer(models.BPE(vocabulary, []))
    raw.pre_tokenizer, raw.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    raw.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<|im_end|>")
    tokenizer.chat_template = TEMPLATE
    torch.manual_seed(0)
    config = transformers.Qwen3Config(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, head_dim=8, max_position_embeddings=512, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    return transformers.Qwen3ForCausalLM(config), tokenizer


async def test_log_probabilities_are_those_of_the_generated_tokens(parts):
    model = LocalModel(*parts, ModelConfig(name="tiny", backend="transformers", temperature=0.7, logprobs=True))
    reply = await model.complete(ASK, TOOLS, max_tokens=12)
    prompt = parts[1].apply_chat_template(ASK, tools=TOOLS, add_generation_prompt=True)["input_ids"]
    ids = torch.tensor([[*prompt, *reply.token_ids]])
    with torch.inference_mode():
        rows = (parts[0](ids).logits[0, len(prompt) - 1 : -1] / 0.7).log_softmax(-1)
    expected = [float(row[token]) for row, token in zip(rows, reply.token_ids, strict=True)]
    assert reply.completion_tokens == len(reply.token_ids) == len(reply.logprobs)
    assert all(math.isclose(a, b, abs_tol=1e-4) for a, b in zip(reply.logprobs, expected, strict=True))
    assert reply.prompt_tokens == len(prompt)


async def test_greedy_replies_repeat(parts):
    model = LocalModel(*parts, ModelConfig(name="tiny", backend="transformers", temperature=0))
    first, second = [await model.complete(ASK, TOOLS, max_tokens=8) for _ in range(2)]
    assert first.token_ids == second.token_ids


async def test_a_prompt_that_does_not_fit_is_a_full_context(parts):
    model = LocalModel(*parts, ModelConfig(name="tiny", backend="transformers"))
    with pytest.raises(ContextFull):
        await model.complete([{"role": "user", "content": "x" * 600}], [], max_tokens=8)


async def test_a_reply_that_takes_too_long_is_given_up_and_its_generation_stopped(parts):
    model = LocalModel(*parts, ModelConfig(name="tiny", backend="transformers", timeout=0.001))
    with pytest.raises(ModelError, match="no reply within"):
        await model.complete(ASK, [], max_tokens=400)
    await asyncio.get_running_loop().run_in_executor(model._thread, lambda: None)
    await model.aclose()


async def test_a_reply_that_waits_for_its_turn_has_not_begun(parts):
    """Its seconds count from then."""
    seen = []

    class Watching:
        def begins(self):
            seen.append("begins")

        def writes(self, piece):
            seen.append("writes")

        def waits(self, seconds, reason):
            raise AssertionError("nothing breaks off")

    model = LocalModel(*parts, ModelConfig(name="tiny", backend="transformers", temperature=0), observer=Watching())
    replies = await asyncio.gather(*(model.complete(ASK, [], max_tokens=12) for _ in range(3)))
    assert len({reply.token_ids for reply in replies}) == 1
    assert [at for at, what in enumerate(seen) if what == "begins"] == [k * len(seen) // 3 for k in range(3)]
    assert len(seen) > 3
    await model.aclose()


async def test_a_history_is_rendered_as_training_renders_it(parts):
    model = LocalModel(*parts, ModelConfig(name="tiny", backend="transformers", temperature=0))
    call = {"id": "c", "type": "function", "function": {"name": "search", "arguments": '{"queries": ["x"]}'}}
    history = [*ASK, {"role": "assistant", "content": "", "tool_calls": [call]}, {"role": "tool", "content": "seen"}]
    trained = parts[1].apply_chat_template(
        [rendered(message) for message in history], tools=TOOLS, add_generation_prompt=True
    )["input_ids"]
    raw = parts[1].apply_chat_template(history, tools=TOOLS, add_generation_prompt=True)["input_ids"]
    reply = await model.complete(history, TOOLS, max_tokens=1)
    assert reply.prompt_tokens == len(trained) != len(raw)


def test_words_that_are_seen_one_by_one_keep_their_spaces():
    """Where the space belongs to the word, as in Llama 2 and Mistral."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    raw = Tokenizer(models.WordLevel({"▁The": 0, "▁mill": 1, "▁stands": 2}, unk_token="▁The"))
    raw.pre_tokenizer, raw.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    seen = []
    streamer = _Streamer(transformers.PreTrainedTokenizerFast(tokenizer_object=raw), seen.append)
    for tokens in ([[0, 1]], [0], [1], [2], [1]):
        streamer.put(torch.tensor(tokens))
    streamer.end()
    assert [piece.text for piece in seen] == ["The", " mill", " stands", " mill"]


async def test_what_is_generated_is_seen_as_it_comes(parts):
    seen = []

    class Watching:
        def begins(self):
            seen.clear()

        def writes(self, piece):
            seen.append(piece.text)

        def waits(self, seconds, reason):
            raise AssertionError(reason)

    model = LocalModel(*parts, ModelConfig(name="tiny", backend="transformers", temperature=0), observer=Watching())
    reply = await model.complete(ASK, TOOLS, max_tokens=40)
    await asyncio.sleep(0)  # what the thread has said last is told by the loop
    assert len(seen) > 3
    whole = parts[1].decode(reply.token_ids, skip_special_tokens=True)
    # Of noise, which bytes are half a character depends on where they are looked at.
    assert "".join(seen).replace("\ufffd", "") == whole.replace("\ufffd", "")
