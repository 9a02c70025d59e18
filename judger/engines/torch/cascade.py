"""Runs prompt trees through the model: every node once, shared keys and values kept while they are needed.

The work for L shared tokens and N branches of s tokens is that of one forward over L + N s tokens, where a prompt per
criterion takes N (L + s). Long prompts are computed in steps of at most `step_tokens`, several trees share a step.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from judger.engines.tokens import Tree
from judger.engines.torch.attention import NodeKV, Row
from judger.engines.torch.layout import Layout, Node, Stored, build_layout

__all__ = ["Cascade", "KVCache"]

Piece = tuple[Node, int, int]
"""(node, first token, last token + 1): what one step computes of a node."""


class KVCache:
    """Keys and values of shared nodes by the digest of their path, least recently used out first. One thread's."""

    def __init__(self, budget_bytes: int) -> None:
        self.budget = budget_bytes
        self.nbytes = 0
        self._kept: OrderedDict[bytes, NodeKV] = OrderedDict()

    def get(self, key: bytes) -> NodeKV | None:
        kept = self._kept.get(key)
        if kept is not None:
            self._kept.move_to_end(key)
        return kept

    def put(self, key: bytes, kv: NodeKV) -> None:
        """Keeps `kv` where it fits the budget at all, and drops the oldest to make room."""
        if kv.nbytes > self.budget or key in self._kept:
            return
        self._kept[key] = kv
        self.nbytes += kv.nbytes
        while self.nbytes > self.budget:
            self.nbytes -= self._kept.popitem(last=False)[1].nbytes

    def clear(self) -> None:
        self._kept.clear()
        self.nbytes = 0


@dataclass(slots=True)
class Forest:
    """Trees joined where they share their beginnings, in depth-first order."""

    order: list[Node] = field(default_factory=list)
    keys: dict[Node, bytes] = field(default_factory=dict)
    """Digest of the path, for the nodes that other cases may share."""
    leaves: list[list[Node]] = field(default_factory=list)
    """Per tree, the node of each branch asked for."""


def plant(trees: Sequence[tuple[Tree, Sequence[int]]]) -> Forest:
    """The forest of (tree, wanted branches). Trees with the same instructions and query become neighbours."""
    forest = Forest(leaves=[[] for _ in trees])
    nodes: dict[bytes, Node] = {}
    children: dict[Node | None, list[Node]] = {}

    def shared(ids: tuple[int, ...], parent: Node | None) -> Node:
        above = forest.keys[parent] if parent is not None else b""
        key = hashlib.blake2b(above + array("q", ids).tobytes(), digest_size=16).digest()
        if key not in nodes:
            nodes[key] = Node(ids, parent)
            forest.keys[nodes[key]] = key
            children.setdefault(parent, []).append(nodes[key])
        return nodes[key]

    for at, (tree, wanted) in enumerate(trees):
        if not wanted:
            continue
        report = shared(tree.report, shared(tree.shared, None))
        for index in wanted:
            polarity, ids = tree.branches[index]
            leaf = Node(ids, shared(tree.polarities[polarity], report))
            children.setdefault(leaf.parent, []).append(leaf)
            forest.leaves[at].append(leaf)

    stack = children.get(None, [])[::-1]
    while stack:
        node = stack.pop()
        forest.order.append(node)
        stack += children.get(node, [])[::-1]
    return forest


class Cascade:
    """One model and its cache. Not thread-safe: the engine's thread owns it."""

    def __init__(self, model: Any, *, step_tokens: int, cache_bytes: int, deterministic: bool = False) -> None:
        """`model` is a causal LM whose attention is `attention.NAME`. With `deterministic` a case's arithmetic never
        depends on its company or on what is cached: nodes are computed one by one, one case at a time."""
        self._model = model
        self._device: torch.device = next(model.parameters()).device
        self._step_tokens = step_tokens
        self._deterministic = deterministic
        self.cache = KVCache(cache_bytes)
        self.num_forwards = 0
        self.num_tokens = 0
        """Tokens computed so far, in all forwards."""

    def log_probs(self, trees: Sequence[tuple[Tree, Sequence[int]]], ids: Sequence[int]) -> list[Tensor]:
        """Per tree [wanted branches, len(ids)], float32 on the CPU: log P(id) after each wanted branch's last token.

        The softmax is over the whole vocabulary.
        """
        if not self._deterministic:
            return self._run(trees, ids)
        return [self._run([tree], ids)[0] for tree in trees]

    @torch.inference_mode()
    def _run(self, trees: Sequence[tuple[Tree, Sequence[int]]], ids: Sequence[int]) -> list[Tensor]:
        forest = plant(trees)
        stored: dict[Node, Stored] = {}
        partial: dict[Node, NodeKV] = {}  # those of them that this run fills
        for node, key in forest.keys.items():
            kept = self.cache.get(key)
            if kept is not None:
                stored[node] = kept
        steps = list(self._steps([node for node in forest.order if node not in stored], forest))
        last_use = uses(steps)
        columns = torch.tensor(ids, device=self._device)
        found: dict[Node, Tensor] = {}
        for number, pieces in enumerate(steps):
            layout = build_layout(pieces, stored, chains=not self._deterministic)
            keep = {
                node: partial.get(node) or NodeKV(node.start, len(node.ids))
                for node, _, _ in pieces
                if last_use[node] > number or (self.cache.budget and node in forest.keys)
            }
            ends = [s for s in layout.spans if s.last == len(s.node.ids) and s.node not in forest.keys]
            logits = self._forward(layout, keep, [span.end - 1 for span in ends])
            if ends:
                rows = torch.log_softmax(logits.float(), -1)[:, columns].cpu()
                found.update(zip((span.node for span in ends), rows, strict=True))
            for node, _, last in pieces:
                if node in keep:
                    keep[node].filled = last
                    stored[node] = partial[node] = keep[node]
                    if last == len(node.ids) and node in forest.keys:
                        self.cache.put(forest.keys[node], keep[node])
            for node in [node for node in stored if last_use.get(node, -1) <= number]:
                del stored[node]
                partial.pop(node, None)
        empty = torch.empty(0, len(ids))
        return [torch.stack([found[leaf] for leaf in leaves]) if leaves else empty for leaves in forest.leaves]

    def _forward(self, layout: Layout, keep: dict[Node, NodeKV], ends: list[int]) -> Tensor:
        """Logits [len(ends) or 1, vocabulary] of the given places of the row."""
        row = Row.of(layout, keep, self._device)
        self.num_forwards += 1
        self.num_tokens += len(layout.ids)
        out = self._model(
            input_ids=torch.tensor([layout.ids], device=self._device),
            position_ids=row.positions.unsqueeze(0),
            use_cache=False,
            logits_to_keep=torch.tensor(ends or [0], device=self._device),
            judger_row=row,
        )
        logits: Tensor = out.logits[0]
        return logits

    def _steps(self, nodes: Sequence[Node], forest: Forest) -> Iterator[list[Piece]]:
        """Pieces of `nodes`, in order, in steps under the token budget. Deterministic: a shared node alone."""
        step: list[Piece] = []
        room = self._step_tokens
        for node in nodes:
            alone = self._deterministic and node in forest.keys
            if step and self._deterministic and (alone or step[-1][0].parent is not node.parent):
                yield step  # the same steps whether the shared nodes are cached or not
                step, room = [], self._step_tokens
            first = 0
            while first < len(node.ids):
                # A short node is not cut for the sake of a full step.
                rest = len(node.ids) - first
                if step and (room <= 0 or room < rest <= self._step_tokens // 4):
                    yield step
                    step, room = [], self._step_tokens
                last = min(len(node.ids), first + room)
                step.append((node, first, last))
                room -= last - first
                first = last
            if alone:
                yield step
                step, room = [], self._step_tokens
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
