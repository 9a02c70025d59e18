"""A tiny Qwen3 that has learned one episode by heart: it searches, then it reports. Everything around it is real."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from judger.types import Criterion, Role
from policy import bundled
from policy.config import Settings
from policy.kit import Shared, open_kit, open_shared
from policy.model import Schema
from policy.models import hermes
from policy.rollouts import Task
from tests.judger.cli.conftest import serving
from train.rl.template import ChatTemplate

# Tiny models are faster on one thread, and don't fight for the cores with whatever else runs.
os.environ.setdefault("OMP_NUM_THREADS", "1")
torch.set_num_threads(1)

TEMPLATE = (
    "{% if tools %}<|im_start|>system\n{% for t in tools %}{{ t.function.name }}({% for p in t.function.parameters"
    ".properties %}{{ p }} {% endfor %})\n{% endfor %}<|im_end|>\n{% endif %}"
    "{% for m in messages %}"
    "{% if m.role == 'assistant' %}<|im_start|>assistant\n{% generation %}{{ m.content }}"
    "{% for c in m.tool_calls or [] %}<tool_call>{{ c.function | tojson }}</tool_call>{% endfor %}<|im_end|>"
    "{% endgeneration %}{{ '\n' }}"
    "{% else %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CALL = '<tool_call>{"name": "search", "arguments": {"queries": ["mill"], "results": 1}}</tool_call>'
REPORT = "The mill works by the tide \\cite{tidal-mill#1}."
QUERY = "How does the mill work?"


CONFIG = """
tasks_per_step = 3
group = 2
lr = 1e-3
kl = 0.01
turn_tokens = 40
linger = 600
temperature = 1.5
save_every = 2
seed = 3
[ppo]
critic_lr = 1e-3
minibatches = 2
critic_sees_rubric = true
critic_average = 0.9
[grpo]
micro_episodes = 3
"""


@dataclass(frozen=True)
class Tiny:
    """A model, its tokenizer, and where both are saved."""

    model: Qwen3ForCausalLM
    tokenizer: PreTrainedTokenizerFast
    folder: Path


def make_tokenizer() -> PreTrainedTokenizerFast:
    with bundled.corpus() as folder:
        texts = [path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.md"))]
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer, raw.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=700,
        special_tokens=["<|pad|>", "<|im_start|>", "<|im_end|>", "<tool_call>", "</tool_call>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator([*texts, *[CALL, REPORT] * 200], trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<|im_end|>", pad_token="<|pad|>")
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def make_model(tokenizer: Any, hidden: int = 48) -> Qwen3ForCausalLM:
    config = Qwen3Config(
        vocab_size=len(tokenizer), hidden_size=hidden, intermediate_size=2 * hidden, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=16, max_position_embeddings=1024,
        initializer_range=hidden**-0.5, tie_word_embeddings=True, eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id, bos_token_id=None,
    )  # fmt: skip
    return Qwen3ForCausalLM(config)


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    prompt = tmp_path_factory.mktemp("prompt") / "system.txt"
    prompt.write_text("Search, then report.", encoding="utf-8")
    return Settings.model_validate(
        {"agent": {"system_prompt": prompt, "budget": {"turns": 3, "tool_calls": 2}}, "search": {"dense": False}}
    )


async def observe(settings: Settings, folder: Path) -> tuple[list[Schema], str]:
    """The tools as the agent shows them, and what comes back from the call."""
    (call,) = hermes.parse(CALL)[2]
    async with open_shared(settings) as shared, open_kit(settings, folder, shared) as kit:
        outcome = await kit.tools.call(call)
    return kit.tools.schemas, outcome.text + "\n\n[turn 1 of 3, 1 tool calls left]"


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory, settings: Settings) -> Tiny:
    """Learns the episode in sixty steps; some of its samples still go wrong, as they should."""
    torch.manual_seed(0)
    tokenizer = make_tokenizer()
    model = make_model(tokenizer)
    template = ChatTemplate(tokenizer)
    schemas, observation = asyncio.run(observe(settings, tmp_path_factory.mktemp("kit")))
    system = {"role": "system", "content": "Search, then report."}
    examples: list[tuple[list[int], list[int]]] = []
    for query in (QUERY, "What is a mill?", "Tell me about the tide."):
        ids = template.first([system, {"role": "user", "content": query}], schemas)
        labels = [-100] * len(ids)
        for said, heard in ((CALL, {"role": "tool", "content": observation}), (REPORT, None)):
            new = [*tokenizer(said, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
            ids, labels = ids + new, labels + new
            if heard:
                between = template.following([heard], has_ended=True)
                ids, labels = ids + between, labels + [-100] * len(between)
        examples.append((ids, labels))
    longest = max(len(ids) for ids, _ in examples)
    inputs = torch.tensor([ids + [0] * (longest - len(ids)) for ids, _ in examples])
    targets = torch.tensor([labels + [-100] * (longest - len(labels)) for _, labels in examples])
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(60):
        model(input_ids=inputs, labels=targets).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    model.eval()
    folder = tmp_path_factory.mktemp("tiny")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return Tiny(model, tokenizer, folder)


@pytest.fixture
async def shared(settings: Settings) -> AsyncIterator[Shared]:
    async with open_shared(settings) as found:
        yield found


def make_tasks(count: int = 4) -> list[Task]:
    criteria = (
        Criterion(id="c1", text="mill works tide", weight=2.0),
        Criterion(id="c2", text="water turns wheel", weight=1.0, role=Role.IMPLICIT),
        Criterion(id="c3", text="windmill", weight=-1.0, role=Role.NEGATIVE),
    )
    return [Task(f"t{i}", QUERY if i % 2 == 0 else "What is a mill?", criteria) for i in range(count)]


def write_tasks(path: Path, tasks: list[Task]) -> Path:
    lines = [
        json.dumps(
            {
                "id": task.id,
                "query": task.query,
                "criteria": [
                    {"id": c.id, "text": c.text, "weight": c.weight, "role": str(c.role)} for c in task.criteria
                ],
            }
        )
        for task in tasks
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def judge() -> Iterator[str]:
    """The address of a server with the scripted engine, in a process of its own: runs own their event loops."""
    with serving("--grace", "0") as (address, _):
        yield address


@pytest.fixture
def files(tmp_path: Path, settings) -> Path:
    """tasks.jsonl, settings.toml and rl.toml in a folder."""
    write_tasks(tmp_path / "tasks.jsonl", make_tasks())
    (tmp_path / "settings.json").write_text(settings.model_dump_json(), encoding="utf-8")
    (tmp_path / "rl.toml").write_text(CONFIG, encoding="utf-8")
    return tmp_path
