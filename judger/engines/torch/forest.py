"""Prompt trees joined where they begin alike, and the cache of what their shared nodes left behind."""

from __future__ import annotations

import hashlib
from array import array
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from judger.engines.tokens import Tree
from judger.engines.torch.attention import NodeKV
from judger.engines.torch.layout import Node

__all__ = ["Forest", "KVCache", "plant"]


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
