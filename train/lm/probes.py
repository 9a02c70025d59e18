"""What a mid-trained model is measured by: loss by position, and facts retrieved from a text of distractors.

The probe plants sentences of the data itself that end in a number, with the number changed so that no memory of the
training text helps, at several depths of a text of other lines, and ends with one of them up to its number. The model
chooses among the numbers planted: chance is 1 / `FACTS`. Where the data has enough endings, the sentences differ in
their last two words too: finding and copying is measured, not what a sentence many words back was about.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["FACTS", "Probe", "loss_by_position", "make_probes", "retrieval_accuracy"]

T = TypeVar("T")
FACTS = 8
POSITIONS = 2048
DEPTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
# A sentence that begins with a pronoun says nothing of what it is about once it stands among others.
_ENDS_IN_NUMBER = re.compile(
    r"(?:^|(?<=[.!?\]]\s)|(?<=\n))(?!(?:It|He|She|They|This|That)\s)([A-Z][^.!?\n]{15,160}?\s)(\d{2,4})\.(?=\s|$)"
)


@dataclass(frozen=True, slots=True)
class Probe:
    """A prompt, the first tokens of the numbers planted in it, which of them is right, and where it was planted."""

    ids: list[int]
    choices: list[int]
    right: int
    depth: float


def loss_by_position(
    model: PreTrainedModel, rows: Sequence[Sequence[int]], *, context: int, bins: int = 8, among: Any = None
) -> list[dict[str, float]]:
    """Mean loss (nats) of the tokens of held-out rows, by where in its row a token stands, in bins of equal width.

    Rows are read whole up to `context` tokens, and of a long one the loss is taken at `POSITIONS` of them, evenly
    spaced: logits over a large vocabulary are the largest tensor there is. A bin without tokens is left out. `among` is
    accelerate's Accelerator where several processes share the rows.
    """
    edges = [round(context * i / bins) for i in range(bins + 1)]
    device = model.device
    total, count = torch.zeros(2, context, device=device)
    for row, counts in _dealt([row for row in rows if len(row) > 1], among):
        ids = torch.tensor([row[:context]], device=device)
        places = torch.linspace(0, ids.shape[1] - 2, min(POSITIONS, ids.shape[1] - 1), device=device).round().long()
        with torch.no_grad():
            logits = model(ids, logits_to_keep=places, use_cache=False).logits[0].float()
        if counts:
            total[places + 1] += F.cross_entropy(logits, ids[0, places + 1], reduction="none")
            count[places + 1] += 1
    if among is not None:
        total, count = among.reduce(total, "sum"), among.reduce(count, "sum")
    return [
        {"from": low, "to": high, "tokens": float(count[low:high].sum()),
         "loss": float(total[low:high].sum() / count[low:high].sum())}
        for low, high in pairwise(edges) if count[low:high].sum()
    ]  # fmt: skip


def make_probes(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], *, context: int, count: int, seed: int
) -> list[Probe]:
    """`count` probes of about `context` tokens from these texts, depths in turn; fewer where the data has too few
    sentences that end in a number."""
    draw = random.Random(seed)
    stems = sorted({match.group(1) for text in texts for match in _ENDS_IN_NUMBER.finditer(text)})
    fillers = [line for text in texts for line in text.split("\n") if len(line) > 20]
    probes: list[Probe] = []
    if len(stems) < FACTS or not fillers:
        return probes
    for number in range(count * 3):
        if len(probes) == count:
            break
        probe = _make(tokenizer, draw, stems, fillers, context, DEPTHS[number % len(DEPTHS)])
        if probe is not None:
            probes.append(probe)
    return probes


def _make(
    tokenizer: PreTrainedTokenizerBase,
    draw: random.Random,
    stems: list[str],
    fillers: list[str],
    context: int,
    depth: float,
) -> Probe | None:
    def ids(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    chosen = _choose(draw, stems)
    told = _numbers(ids, draw, chosen[0])
    if told is None:
        return None
    values, shared, choices = told
    facts = [f"{stem}{value}." for stem, value in zip(chosen, values, strict=True)]
    room = context - sum(len(ids(fact)) + 1 for fact in facts) - len(shared)
    # What the sentences say in the data must not stand beside what they say here.
    others = [line for line in fillers if not any(stem in line for stem in chosen)]
    lines: list[str] = []
    while room > 0 and others:
        filler = draw.choice(others)
        room -= len(ids(filler)) + 1
        if room > 0:
            lines.append(filler)
    for fact in facts[1:]:
        lines.insert(draw.randrange(len(lines) + 1), fact)
    lines.insert(round(depth * len(lines)), facts[0])
    prompt = [*ids("\n".join(lines) + "\n"), *shared]
    return Probe(prompt, choices, 0, depth) if len(prompt) <= context else None


def _choose(draw: random.Random, stems: list[str]) -> list[str]:
    endings: dict[tuple[str, ...], list[str]] = {}
    for stem in stems:
        endings.setdefault(tuple(stem.split()[-2:]), []).append(stem)
    if len(endings) < FACTS:
        return draw.sample(stems, FACTS)
    return [draw.choice(endings[ending]) for ending in draw.sample(sorted(endings), FACTS)]


def _numbers(
    ids: Callable[[str], list[int]], draw: random.Random, stem: str
) -> tuple[list[str], list[int], list[int]] | None:
    """(numbers, the tokens before what tells them apart, the token that does): whatever the vocabulary knows as one
    token, by single digits or by letters. None where it cannot tell as many apart by one token."""
    years = [str(year) for year in draw.sample(range(1700, 2000), 100)]
    others = [f"{digit}{draw.randrange(100, 1000)}" for digit in range(1, 10)]
    for pool in (years, others, years + others):
        shared, tokens = _apart([ids(f"{stem}{number}.") for number in pool])
        by_token = dict(zip(tokens, pool, strict=True))
        if len(by_token) >= FACTS:
            choices = draw.sample(sorted(by_token), FACTS)
            return [by_token[token] for token in choices], shared, choices
    return None


def _apart(rows: Sequence[list[int]]) -> tuple[list[int], list[int]]:
    """(the tokens that all rows begin with, the token of each row that follows them)."""
    length = next(i for i, tokens in enumerate(zip(*rows, strict=False)) if len(set(tokens)) > 1)
    return rows[0][:length], [row[length] for row in rows]


def retrieval_accuracy(model: PreTrainedModel, probes: Sequence[Probe], *, among: Any = None) -> dict[str, float]:
    """Share of probes whose right number the model prefers among those planted: `all`, and by depth. `among`: as for
    `loss_by_position`."""
    device = model.device
    hits = torch.zeros(len(probes), device=device)
    for number, counts in _dealt(range(len(probes)), among):
        probe = probes[number]
        ids = torch.tensor([probe.ids], device=device)
        with torch.no_grad():
            logits = model(ids, logits_to_keep=1, use_cache=False).logits[0, -1]
        hits[number] += counts * float(int(logits[probe.choices].argmax()) == probe.right)
    if among is not None:
        hits = among.reduce(hits, "sum")
    by_depth: dict[str, list[float]] = {"all": hits.tolist()}
    for probe, hit in zip(probes, hits.tolist(), strict=True):
        by_depth.setdefault(f"depth {probe.depth:g}", []).append(hit)
    return {name: sum(found) / len(found) for name, found in by_depth.items() if found}


def _dealt(items: Sequence[T], among: Any) -> list[tuple[T, bool]]:
    """(item, whether it counts) for this process: all have as many passes, as a model in shards makes each together."""
    if among is None:
        return [(item, True) for item in items]
    size, rank = among.num_processes, among.process_index
    rounds = -(-len(items) // size)
    numbers = [turn * size + rank for turn in range(rounds)]
    return [(items[number], True) if number < len(items) else (items[0], False) for number in numbers]
