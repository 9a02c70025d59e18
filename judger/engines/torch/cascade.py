"""Runs prompt trees through the model: every node once, shared keys and values kept while they are needed.

The work for L shared tokens and N branches of s tokens is that of one forward over L + N s tokens, where a prompt per
criterion takes N (L + s). Long prompts are computed in steps of at most `step_tokens`, several trees share a step.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from judger.engines.tokens import Tree
from judger.engines.torch.attention import NodeKV, Row
from judger.engines.torch.forest import Forest, KVCache, plant
from judger.engines.torch.last import wrap_last_layer
from judger.engines.torch.layout import Layout, Node, build_layout

__all__ = ["Cascade", "Guide"]

Piece = tuple[Node, int, int]
"""(node, first token, last token + 1): what one step computes of a node."""

Guide = Callable[[tuple[int, ...]], Sequence[int] | None]
"""From what a branch has written to what stands for its last token, one or more: itself, or others that the reader
writes; None where the branch ends with it."""

Pick = Callable[[Sequence[Node], Tensor], Tensor]
"""From leaves and their logits [leaves, vocabulary] to one result a leaf, on the CPU."""


class Cascade:
    """One model and its cache. Not thread-safe: the engine's thread owns it."""

    def __init__(
        self,
        model: Any,
        *,
        step_tokens: int,
        cache_bytes: int,
        leaf_tokens: int = 0,
        deterministic: bool = False,
        trim: bool = True,
    ) -> None:
        """`model` is a causal LM whose attention is `attention.NAME`. `step_tokens`: of one forward at most; a branch
        that is read counts for `leaf_tokens` more, the memory of its logits. With `deterministic` the arithmetic of a
        criterion never depends on any company, in its case or beyond, nor on what is cached: every node is computed by
        itself. `trim`: compute the last layer only where it is read, if it can be told which one that is."""
        self._model = model
        self.trim = trim and wrap_last_layer(model)
        self._device: torch.device = next(model.parameters()).device
        self._step_tokens = step_tokens
        self._leaf_tokens = leaf_tokens
        self._deterministic = deterministic
        self.cache = KVCache(cache_bytes)
        self.num_forwards = 0
        self.num_tokens = 0
        """Tokens computed so far, in all forwards."""
        self.num_found = 0
        """Tokens found kept from earlier cases, and so not computed."""

    def log_probs(self, trees: Sequence[tuple[Tree, Sequence[int]]], ids: Sequence[int]) -> list[Tensor]:
        """Per tree [wanted branches, len(ids)], float32 on the CPU: log P(id) after each wanted branch's last token.

        The softmax is over the whole vocabulary.
        """
        columns = torch.tensor(ids, device=self._device)
        forest = plant(trees)

        def pick(leaves: Sequence[Node], logits: Tensor) -> Tensor:
            logits = logits.float()
            return (logits[:, columns] - logits.logsumexp(-1, keepdim=True)).cpu()

        found, _ = self._compute(forest, pick)
        empty = torch.empty(0, len(ids))
        return [torch.stack([found[leaf] for leaf in leaves]) if leaves else empty for leaves in forest.leaves]

    def write(
        self,
        tree: Tree,
        wanted: Sequence[int],
        *,
        max_tokens: int,
        guide: Guide,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> list[tuple[int, ...]]:
        """Token ids that the model writes after each wanted branch, all branches a token at a time together.

        A branch ends when `guide` says so of what it wrote, or after `max_tokens`, which hold what the guide puts in,
        too. Greedy at temperature 0; else sampled, each branch by a generator of its own: a trial is repeatable, and
        the same in any company.
        """
        forest = plant([(tree, wanted)])
        (leaves,) = forest.leaves
        chance = {leaf: self._generator(leaf, seed) for leaf in leaves}

        def pick(leaves: Sequence[Node], logits: Tensor) -> Tensor:
            if temperature == 0:
                return logits.argmax(-1).cpu()
            weights = torch.softmax(logits.float() / temperature, -1)
            draws = [
                torch.multinomial(row, 1, generator=chance[leaf]) for leaf, row in zip(leaves, weights, strict=True)
            ]
            return torch.cat(draws).cpu()

        prompts = {leaf: len(leaf.ids) for leaf in leaves}
        chosen, stored = self._compute(forest, pick, reserve=max_tokens)
        alive = list(leaves)
        while alive:
            pieces: list[Piece] = []
            for leaf in alive:
                computed, begin = len(leaf.ids), prompts[leaf]
                leaf.ids += (int(chosen[leaf]),)
                last = guide(leaf.ids[begin:])
                if last is not None:
                    leaf.ids = (leaf.ids[:computed] + tuple(last))[: begin + max_tokens]
                    if len(leaf.ids) < begin + max_tokens:
                        pieces.append((leaf, computed, len(leaf.ids)))
            alive = [leaf for leaf, _, _ in pieces]
            for step in self._steps_of(pieces):
                chosen.update(self._step(step, forest, stored, {}, pick))
        return [leaf.ids[prompts[leaf] :] for leaf in leaves]

    def _generator(self, leaf: Node, seed: int) -> torch.Generator:
        """A source of chance that follows from a branch's own tokens and the seed of a trial."""
        digest = hashlib.blake2b(array("q", (seed, *leaf.ids)).tobytes(), digest_size=6).digest()
        return torch.Generator(self._device).manual_seed(int.from_bytes(digest, "big"))

    def _compute(
        self, forest: Forest, pick: Pick, *, reserve: int = 0
    ) -> tuple[dict[Node, Tensor], dict[Node, NodeKV]]:
        """What `pick` makes of the logits at each leaf's end, and the keys and values that are left.

        With `reserve` everything is kept, leaves too, with room for that many more tokens.
        """
        stored: dict[Node, NodeKV] = {}
        for node, key in forest.keys.items():
            kept = self.cache.get(key)
            if kept is not None:
                stored[node] = kept
                self.num_found += len(node.ids)
        steps = list(self._steps([node for node in forest.order if node not in stored], forest))
        last_use = uses(steps)
        found: dict[Node, Tensor] = {}
        for number, pieces in enumerate(steps):
            new = {
                node: NodeKV(node.start, len(node.ids) + (0 if node in forest.keys else reserve))
                for node, _, _ in pieces
                if node not in stored
                and (reserve or last_use[node] > number or (self.cache.budget and node in forest.keys))
            }
            found.update(self._step(pieces, forest, stored, new, pick))
            if not reserve:
                for node in [node for node in stored if last_use.get(node, -1) <= number]:
                    del stored[node]
        return found, stored

    @torch.inference_mode()
    def _step(
        self,
        pieces: Sequence[Piece],
        forest: Forest,
        stored: dict[Node, NodeKV],
        new: dict[Node, NodeKV],
        pick: Pick,
    ) -> dict[Node, Tensor]:
        """One forward. Keys and values go to the nodes of `stored` and `new`; results come for leaves that end."""
        layout = build_layout(pieces, stored, chains=not self._deterministic)
        keep = {node: stored.get(node) or new[node] for node, _, _ in pieces if node in stored or node in new}
        ends = [span for span in layout.spans if span.last == len(span.node.ids) and span.node not in forest.keys]
        logits = self._forward(layout, keep, [span.end - 1 for span in ends])
        for node, _, last in pieces:
            if node in keep:
                keep[node].filled = last
                stored[node] = keep[node]
                if last == len(node.ids) and node in forest.keys:
                    self.cache.put(forest.keys[node], keep[node])
        leaves = [span.node for span in ends]
        return dict(zip(leaves, pick(leaves, logits), strict=True)) if leaves else {}

    def _forward(self, layout: Layout, keep: dict[Node, NodeKV], ends: list[int]) -> Tensor:
        """Logits [len(ends) or 1, vocabulary] of the given places of the row."""
        trim = self.trim and 2 * len(ends) <= len(layout.ids)
        row = Row.of(layout, keep, self._device, ends, trim=trim)
        self.num_forwards += 1
        self.num_tokens += len(layout.ids)
        out = self._model(
            input_ids=torch.tensor([layout.ids], device=self._device),
            position_ids=row.positions.unsqueeze(0),
            use_cache=False,
            logits_to_keep=0 if trim else torch.tensor(ends or [0], device=self._device),
            judger_row=row,
        )
        logits: Tensor = out.logits[0]
        return logits

    def _steps_of(self, pieces: Sequence[Piece]) -> Iterator[Sequence[Piece]]:
        """A token or a few of each leaf, all read at the end, in steps under the token budget."""
        step: list[Piece] = []
        room = self._step_tokens
        for piece in pieces:
            cost = piece[2] - piece[1] + self._leaf_tokens
            if step and (self._deterministic or cost > room):
                yield step
                step, room = [], self._step_tokens
            step.append(piece)
            room -= cost
        if step:
            yield step

    def _steps(self, nodes: Sequence[Node], forest: Forest) -> Iterator[list[Piece]]:
        """Pieces of `nodes`, in order, in steps under the token budget. Deterministic: a node alone, whatever the
        budget has left, so that its steps are the same in any company and whether its prefix is cached or not."""
        step: list[Piece] = []
        room = self._step_tokens
        for node in nodes:
            read = 0 if node in forest.keys else self._leaf_tokens
            first = 0
            while first < len(node.ids):
                # A short node is not cut for the sake of a full step.
                rest = len(node.ids) - first + read
                if step and (self._deterministic or room <= 0 or room < rest <= self._step_tokens // 4):
                    yield step
                    step, room = [], self._step_tokens
                last = min(len(node.ids), first + room)
                step.append((node, first, last))
                room -= rest if last == len(node.ids) else last - first
                first = last
        if step:
            yield step


def uses(steps: Sequence[Sequence[Piece]]) -> dict[Node, int]:
    """The last step that reads a node: its own last chunk's, or its last descendant's."""
    last: dict[Node, int] = {}
    for number, pieces in enumerate(steps):
        for node, _, _ in pieces:
            last[node] = number
            for ancestor in node.ancestors():
                last[ancestor] = number
    return last
