"""Episodes as padded tensors, and the log-probabilities and values of exactly the sampled tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from train.rl.tokens import Sequence as Tokens

__all__ = ["Experience", "Micro", "collate", "logprobs_and_entropy", "micro_batches", "padded"]


@dataclass(frozen=True, slots=True)
class Experience:
    """A sequence to learn from, and the reward of its episode."""

    tokens: Tokens
    reward: float
    rubric_ids: tuple[int, ...] = ()
    """What a critic that sees the rubric reads before the episode."""

    def with_rubric(self) -> Experience:
        """The same steps with the rubric before the prompt: for the critic alone, never for the policy."""
        return replace(self, tokens=replace(self.tokens, prompt_ids=[*self.rubric_ids, *self.tokens.prompt_ids]))


@dataclass(frozen=True, slots=True)
class Micro:
    """Sequences that go through the model together: B of them, L tokens, at most T sampled.

    Right-padded, so that causal attention alone keeps the padding out and no mask is needed.
    """

    rows: list[int]
    """Which experiences these are."""
    ids: Tensor  # (B, L)
    places: Tensor  # (B, T), the position before each sampled token, whose output predicts it
    targets: Tensor  # (B, T), the sampled tokens
    valid: Tensor  # (B, T), bool


def micro_batches(experiences: Sequence[Experience], rows: Sequence[int], most_tokens: int) -> Iterator[list[int]]:
    """The rows in groups of at most `most_tokens` with their padding, similar lengths together."""
    group: list[int] = []
    for row in sorted(rows, key=lambda row: len(experiences[row].tokens.ids)):
        if group and (len(group) + 1) * len(experiences[row].tokens.ids) > most_tokens:
            yield group
            group = []
        group.append(row)
    if group:
        yield group


def collate(experiences: Sequence[Experience], rows: Sequence[int], device: Any) -> Micro:
    """The rows as tensors."""
    all_ids = [experiences[row].tokens.ids for row in rows]
    places = []
    for row in rows:
        tokens = experiences[row].tokens
        start = len(tokens.prompt_ids) - 1
        places.append([start + i for i, sampled in enumerate(tokens.mask) if sampled])
    targets = [[ids[place + 1] for place in own] for ids, own in zip(all_ids, places, strict=True)]
    longest, most = max(map(len, all_ids)), max(map(len, places))

    def tensor(lists: list[list[int]], width: int) -> Tensor:
        return torch.tensor([own + [0] * (width - len(own)) for own in lists], device=device)

    valid = torch.tensor([[i < len(own) for i in range(most)] for own in places], device=device)
    return Micro(list(rows), tensor(all_ids, longest), tensor(places, most), tensor(targets, most), valid)


def logprobs_and_entropy(model: Any, micro: Micro, temperature: float) -> tuple[Tensor, Tensor]:
    """(B, T) log-probabilities of the sampled tokens and entropies there, 0 in the padding.

    Logits are made only for positions that some row of the micro-batch samples at.
    """
    needed = torch.unique(micro.places[micro.valid])
    logits = model(input_ids=micro.ids, use_cache=False, logits_to_keep=needed).logits
    rows = torch.arange(len(micro.ids), device=micro.ids.device)[:, None].expand_as(micro.places)[micro.valid]
    columns = torch.searchsorted(needed, micro.places[micro.valid])
    logs = (logits[rows, columns].float() / temperature).log_softmax(-1)
    chosen = logs.gather(1, micro.targets[micro.valid][:, None])[:, 0]
    entropy = -(logs.exp() * logs).sum(-1)
    zeros = torch.zeros(micro.valid.shape, device=logs.device, dtype=logs.dtype)
    return zeros.masked_scatter(micro.valid, chosen), zeros.masked_scatter(micro.valid, entropy)


def padded(rows: Sequence[Sequence[float]], device: Any) -> tuple[Tensor, Tensor]:
    """Lists of different lengths as a (rows, longest) tensor, and where it holds something."""
    longest = max(map(len, rows))
    values = torch.tensor([[*row, *[0.0] * (longest - len(row))] for row in rows], device=device)
    valid = torch.tensor([[i < len(row) for i in range(longest)] for row in rows], device=device)
    return values, valid
