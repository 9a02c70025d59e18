"""What a step of RL costs on this machine: 32 episodes of about 500 tokens, sampled in three turns, and a PPO update.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.bench_rl_step [MODEL]

Without MODEL, a random Qwen3 of 1.1M parameters (hidden 128, 4 layers, vocabulary 2,400). Prints wall and CPU seconds:
on a busy machine the CPU seconds are the ones to compare.
"""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from accelerate import Accelerator
from transformers import AutoModelForCausalLM, Qwen3Config, Qwen3ForCausalLM

from train.rl.batch import Experience
from train.rl.config import RLSettings
from train.rl.decode import KeysValues, Row, generate
from train.rl.ppo.critic import Critic
from train.rl.ppo.learner import Learner
from train.rl.tokens import Sequence

EPISODES, GROUP, PROMPT = 32, 4, 220
TURNS = ((30, 90), (20, 70), (90, 0))
"""Sampled tokens of each turn at most, and tokens of the observation after it."""


@contextmanager
def timed(name: str) -> Iterator[None]:
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    print(f"{name:28} {time.perf_counter() - wall:7.2f} s wall {time.process_time() - cpu:7.2f} s CPU", flush=True)


def make_model() -> Qwen3ForCausalLM:
    config = Qwen3Config(
        vocab_size=2400, hidden_size=128, intermediate_size=384, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=4, head_dim=32, max_position_embeddings=1024, initializer_range=128**-0.5,
        tie_word_embeddings=True,
    )  # fmt: skip
    return Qwen3ForCausalLM(config)


def sample(model: Qwen3ForCausalLM, step: int) -> list[Experience]:
    """Episodes with their cache kept between turns, as the sampler keeps it; replies end at uneven lengths."""
    random = torch.Generator().manual_seed(step)
    prompts = [torch.randint(5, 2000, (PROMPT,), generator=random).tolist() for _ in range(EPISODES // GROUP)]
    sequences = [Sequence(list(prompts[i // GROUP])) for i in range(EPISODES)]
    cached: list[KeysValues | None] = [None] * EPISODES
    for most, heard in TURNS:
        rows = []
        for i, sequence in enumerate(sequences):
            length = int(torch.randint(most // 2, most + 1, (1,), generator=random))
            uniforms = torch.rand(length, generator=random, dtype=torch.float64)
            rows.append(Row(sequence.ids, cached[i], uniforms))
        for i, written in enumerate(generate(model, rows, frozenset())):
            sequences[i].add(written.ids, written.logprobs)
            cached[i] = written.cached
            if heard:
                sequences[i].add(torch.randint(5, 2000, (heard,), generator=random).tolist())
    return [Experience(sequence, i % 3 / 2) for i, sequence in enumerate(sequences)]


def main() -> None:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(sys.argv[1]) if len(sys.argv) > 1 else make_model()
    model.eval()
    print(f"{model.num_parameters() / 1e6:.2f}M parameters, {torch.get_num_threads()} threads")
    settings = RLSettings.model_validate({"lr": 1e-5, "micro_tokens": 4096, "ppo": {"minibatches": 2}})
    learner = Learner(model, Critic.of(model), copy.deepcopy(model), settings, Accelerator(cpu=True))
    for step in range(3):
        with timed("sampling"):
            batch = sample(model, step)
        with timed("update (policy and critic)"):
            learner.update(batch, step)
    tokens = [len(one.tokens.ids) for one in batch]
    sampled = [sum(one.tokens.mask) for one in batch]
    print(f"tokens an episode {sum(tokens) / EPISODES:.0f}, of them sampled {sum(sampled) / EPISODES:.0f}")


if __name__ == "__main__":
    main()
