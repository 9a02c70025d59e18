"""Episodes as padded tensors, and the log-probabilities and values of exactly the sampled tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from train.rl.config import RLSettings
from train.rl.tokens import Sequence as Tokens

__all__ = [
    "Experience",
    "Micro",
    "collate",
    "dealt",
    "logprobs_and_entropy",
    "micro_batches",
    "padded",
    "passed",
    "sampled_logprobs",
]


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
    """B sequences that go through the model together, at most T sampled tokens in each.

    Right-padded they are B rows of L tokens: causal attention alone keeps the padding out, and no mask is needed.
    Packed they are one row of all their tokens, kept apart by positions that begin again.
    """

    rows: list[int]
    """Which experiences these are."""
    ids: Tensor  # (B, L), packed (1, L)
    positions: Tensor | None  # packed (1, L)
    lines: Tensor  # (B,), the row of `ids` that each sequence is in
    places: Tensor  # (B, T), the column before each sampled token, whose output predicts it
    targets: Tensor  # (B, T), the sampled tokens
    valid: Tensor  # (B, T), bool

    @property
    def inputs(self) -> dict[str, Tensor]:
        """What a model of transformers is called with."""
        return {"input_ids": self.ids} | ({} if self.positions is None else {"position_ids": self.positions})


def micro_batches(
    experiences: Sequence[Experience], rows: Sequence[int], most_tokens: int, packing: bool = False
) -> Iterator[list[int]]:
    """The rows in groups of at most `most_tokens` with their padding, similar lengths together."""
    group: list[int] = []
    total = 0
    for row in sorted(rows, key=lambda row: len(experiences[row].tokens.ids)):
        length = len(experiences[row].tokens.ids)
        if group and (total + length if packing else (len(group) + 1) * length) > most_tokens:
            yield group
            group, total = [], 0
        group.append(row)
        total += length
    if group:
        yield group


def dealt(
    experiences: Sequence[Experience],
    rows: Sequence[int],
    settings: RLSettings,
    among: Any,
) -> list[tuple[list[int], bool]]:
    """(micro-batch, whether it counts) for this process: each row goes to one of them, and all have as many.

    A pass through a model that several processes hold is one of all of them, so that one with fewer rows makes up for
    it with passes that do not count. Every process knows all rows and works out the same.
    """
    ordered = sorted(rows, key=lambda row: len(experiences[row].tokens.ids))
    shares = [
        list(
            micro_batches(experiences, ordered[number :: among.num_processes], settings.micro_tokens, settings.packing)
        )
        for number in range(among.num_processes)
    ]
    mine = [(group, True) for group in shares[among.process_index]]
    missing = max(map(len, shares)) - len(mine)
    return mine + [(ordered[:1], False)] * missing


def passed(
    experiences: Sequence[Experience], one: Callable[[Micro], Tensor], like: Tensor, settings: RLSettings, among: Any
) -> Tensor:
    """What `one` finds of all experiences, in the shape of `like`, (experiences, steps): each process passes its share
    and then has everybody's. `among` is accelerate's Accelerator."""
    found = torch.zeros_like(like)
    for rows, counts in dealt(experiences, range(len(experiences)), settings, among):
        micro = collate(experiences, rows, like.device, packing=settings.packing)
        part = one(micro)
        if counts:
            found[rows, : micro.valid.shape[1]] = part.to(found.dtype)
    shared: Tensor = among.reduce(found, "sum")
    return shared


def sampled_logprobs(experiences: Sequence[Experience], device: Any) -> tuple[Tensor, Tensor]:
    """(experiences, steps) log-probabilities by the sampler, and where there are any."""
    rows = [[p for p, m in zip(one.tokens.logprobs, one.tokens.mask, strict=True) if m] for one in experiences]
    return padded(rows, device)


def collate(experiences: Sequence[Experience], rows: Sequence[int], device: Any, *, packing: bool = False) -> Micro:
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
    if not packing:
        lines = torch.arange(len(rows), device=device)
        return Micro(
            list(rows), tensor(all_ids, longest), None, lines, tensor(places, most), tensor(targets, most), valid
        )
    starts = list(accumulate(map(len, all_ids), initial=0))
    places = [[start + place for place in own] for start, own in zip(starts, places, strict=False)]
    ids = torch.tensor([[token for own in all_ids for token in own]], device=device)
    positions = torch.tensor([[place for own in all_ids for place in range(len(own))]], device=device)
    lines = torch.zeros(len(rows), dtype=torch.long, device=device)
    return Micro(list(rows), ids, positions, lines, tensor(places, most), tensor(targets, most), valid)


def logprobs_and_entropy(model: Any, micro: Micro, temperature: float, *, piece: int = 1024) -> tuple[Tensor, Tensor]:
    """(B, T) log-probabilities of the sampled tokens and entropies there, 0 in the padding.

    While learning, `piece` sampled tokens at most have their whole distribution worked out at once.

    Logits are made only for positions that some row of the micro-batch samples at.
    """
    needed = torch.unique(micro.places[micro.valid])
    logits = model(**micro.inputs, use_cache=False, logits_to_keep=needed).logits
    rows = micro.lines[:, None].expand_as(micro.places)[micro.valid]
    columns = torch.searchsorted(needed, micro.places[micro.valid])
    found = logits[rows, columns]
    targets = micro.targets[micro.valid]
    if torch.is_grad_enabled() and len(found) > piece:
        # Worked out again in the backward pass, a piece at a time: over a large vocabulary the logits alone are the
        # largest tensor there is.
        pieces = [
            checkpoint(_said, *part, temperature, use_reentrant=False)
            for part in zip(found.split(piece), targets.split(piece), strict=True)
        ]
        chosen, entropy = (torch.cat(parts) for parts in zip(*pieces, strict=True))
    else:
        chosen, entropy = _said(found, targets, temperature)
    zeros = torch.zeros(micro.valid.shape, device=chosen.device, dtype=chosen.dtype)
    return zeros.masked_scatter(micro.valid, chosen), zeros.masked_scatter(micro.valid, entropy)


def _said(logits: Tensor, targets: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """(log-probability of the target, entropy) of each row of logits."""
    logs = (logits.float() / temperature).log_softmax(-1)
    return logs.gather(1, targets[:, None])[:, 0], -(logs.exp() * logs).sum(-1)


def padded(rows: Sequence[Sequence[float]], device: Any) -> tuple[Tensor, Tensor]:
    """Lists of different lengths as a (rows, longest) tensor, and where it holds something."""
    longest = max(map(len, rows))
    values = torch.tensor([[*row, *[0.0] * (longest - len(row))] for row in rows], device=device)
    valid = torch.tensor([[i < len(row) for i in range(longest)] for row in rows], device=device)
    return values, valid
