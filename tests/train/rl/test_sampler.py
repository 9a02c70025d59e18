"""The sampler: token-exact, batched, and the same as a plain forward."""

from __future__ import annotations

import asyncio

import pytest
import torch

from policy.errors import ContextFull
from train.rl.decode import Row, generate
from train.rl.episodes import Episodes, Order
from train.rl.sampler import Sampler
from train.rl.template import ChatTemplate
from train.toolcache import ToolCache

from .conftest import CALL, QUERY, make_tasks


def plain_logprobs(model, ids):
    with torch.inference_mode():
        rows = model(torch.tensor([ids])).logits[0].log_softmax(-1)
    return [float(rows[i - 1, ids[i]]) for i in range(1, len(ids))]


async def run(tiny, settings, shared, orders, **options):
    sampler = Sampler(tiny.model, tiny.tokenizer, turn_tokens=60, **options)
    try:
        return await Episodes(settings, shared, sampler).run(orders)
    finally:
        sampler.close()


def orders(count, seed=0):
    return [Order(make_tasks()[i % 4], i, seed + i) for i in range(count)]


async def test_sampled_log_probabilities_are_those_of_a_plain_forward(tiny, settings, shared):
    rollouts = await run(tiny, settings, shared, orders(12))
    assert any(rollout.tool_calls and rollout.report for rollout in rollouts)
    for rollout in rollouts:
        for sequence in rollout.sequences:
            expected = plain_logprobs(tiny.model, sequence.ids)[len(sequence.prompt_ids) - 1 :]
            assert len(expected) == len(sequence.completion_ids) == len(sequence.mask) == len(sequence.logprobs)
            for sampled, found, plain in zip(sequence.mask, sequence.logprobs, expected, strict=True):
                assert abs(found - plain) < 1e-4 if sampled else found == 0.0


async def test_the_mask_is_exactly_the_sampled_tokens(tiny, settings, shared):
    for rollout in await run(tiny, settings, shared, orders(8)):
        (sequence,) = rollout.sequences
        text = tiny.tokenizer.decode(sequence.completion_ids)
        spoken = [t for t, m in zip(sequence.completion_ids, sequence.mask, strict=True) if m]
        turns = tiny.tokenizer.decode(spoken)
        heard = tiny.tokenizer.decode([t for t, m in zip(sequence.completion_ids, sequence.mask, strict=True) if not m])
        assert sequence.mask[-1] == 1
        assert "<|im_start|>" not in turns or "<|im_start|>" in text
        assert heard.count("<|im_start|>assistant") == rollout.turns - 1
        if rollout.tool_calls:
            assert "[turn 1 of 3" in heard
            assert "[turn 1 of 3" not in turns


async def test_the_next_prompt_is_the_ids_so_far_and_the_new_suffix(tiny, settings, shared):
    """And where the policy wrote canonical text, that is what rendering the whole conversation gives."""
    rollouts = await run(tiny, settings, shared, orders(12), temperature=0.0)
    (sequence,) = rollouts[0].sequences
    text = tiny.tokenizer.decode(sequence.ids)
    assert CALL + "<|im_end|>\n<|im_start|>tool\n## mill" in text
    assert tiny.tokenizer(text, add_special_tokens=False)["input_ids"] == sequence.ids


async def test_an_episode_samples_the_same_whatever_else_is_in_its_batch(tiny, settings, shared):
    alone = await run(tiny, settings, shared, orders(1))
    among = await run(tiny, settings, shared, orders(9))
    assert alone[0].sequences[0].completion_ids == among[0].sequences[0].completion_ids


async def test_samples_follow_the_distribution(tiny):
    ids = ChatTemplate(tiny.tokenizer).first([{"role": "user", "content": QUERY}], [])
    random = torch.Generator().manual_seed(1)
    rows = [Row(ids, None, torch.rand(1, generator=random, dtype=torch.float64)) for _ in range(4000)]
    written = generate(tiny.model, rows, frozenset())
    with torch.inference_mode():
        expected = tiny.model(torch.tensor([ids])).logits[0, -1].softmax(-1)
    counts = torch.bincount(torch.tensor([w.ids[0] for w in written]), minlength=len(expected)) / len(rows)
    assert (counts - expected).abs().max() < 0.03


async def test_batches_are_full_although_tools_run_between_turns(tiny, settings, shared, monkeypatch):
    sizes = []
    sampler = Sampler(tiny.model, tiny.tokenizer, turn_tokens=60, linger=600)  # however long a busy machine takes
    inner = sampler._generate
    monkeypatch.setattr(sampler, "_generate", lambda rows: (sizes.append(len(rows)), inner(rows))[1])
    await Episodes(settings, shared, sampler).run(orders(16))
    sampler.close()
    assert sizes[0] == 16
    assert len(sizes) <= 4


async def test_a_window_that_the_policy_fills_is_its_fault_and_a_prompt_that_never_fitted_is_not(
    tiny, settings, shared
):
    sampler = Sampler(tiny.model, tiny.tokenizer, turn_tokens=60)
    (whole,) = await Episodes(settings, shared, sampler).run(orders(1))
    first = len(whole.sequences[0].prompt_ids)
    for window, blame in ((20, "system"), (first + 5, "policy")):
        sampler.window = window
        (rollout,) = await Episodes(settings, shared, sampler).run(orders(1))
        assert (rollout.blame, rollout.report, bool(rollout.sequences)) == (blame, "", blame == "policy")
    sampler.close()


async def test_identical_queries_are_answered_once(tiny, settings, shared):
    cache = ToolCache()
    sampler = Sampler(tiny.model, tiny.tokenizer, temperature=0.0)
    same = [Order(make_tasks()[0], number, number) for number in range(4)]
    rollouts = await Episodes(settings, shared, sampler, cache=cache).run(same)
    sampler.close()
    calls = [rollout.tool_calls for rollout in rollouts]
    assert calls[0] > 0
    assert calls == calls[:1] * 4
    assert cache.hits == 3 * calls[0]


async def test_generation_that_fails_is_the_systems_fault(tiny, settings, shared, monkeypatch):
    sampler = Sampler(tiny.model, tiny.tokenizer)

    def broken(rows):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(sampler, "_generate", broken)
    async with asyncio.timeout(120):
        rollouts = await Episodes(settings, shared, sampler).run(orders(3))
    sampler.close()
    assert {rollout.blame for rollout in rollouts} == {"system"}
    assert "out of memory" in rollouts[0].reason


async def test_a_prompt_beyond_the_window_is_a_full_context(tiny):
    sampler = Sampler(tiny.model, tiny.tokenizer)
    sampler.window = 4
    with pytest.raises(ContextFull):
        await sampler.seat(0).complete([{"role": "user", "content": QUERY}], [], max_tokens=4)
    sampler.close()
