"""What one forward computes: pieces of token trees, packed in one row, and who attends to whom. Pure Python.

A `Span` of the row is a node of some prompt tree, or a chunk of a long one. Its tokens attend causally to themselves
and fully to everything before them on their path: earlier chunks and ancestors, which lie in the same row or in
keys and values stored by an earlier forward. `build_layout` groups these reads, so that whatever many spans share is
read in one call for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


class Stored(Protocol):
    """Keys and values of a node that an earlier forward has computed."""

    @property
    def start(self) -> int:
        """Position of its first token in the prompt."""
        ...

    @property
    def filled(self) -> int:
        """How many of its tokens are there."""
        ...


@dataclass(slots=True, eq=False)
class Node:
    """A run of tokens in a prompt tree; its prompt is the path from the root to it."""

    ids: tuple[int, ...]
    parent: Node | None = None
    start: int = field(init=False)
    """Position of the first token in the prompt: positions go on from the parent, for every child anew."""

    def __post_init__(self) -> None:
        self.start = 0 if self.parent is None else self.parent.end

    @property
    def end(self) -> int:
        return self.start + len(self.ids)

    def ancestors(self) -> list[Node]:
        """From the root down, without the node itself."""
        path = []
        node = self.parent
        while node is not None:
            path.append(node)
            node = node.parent
        return path[::-1]


@dataclass(frozen=True, slots=True)
class Span:
    """Tokens `first:last` of a node, computed at `row:row + (last - first)` of the packed row."""

    node: Node
    first: int
    last: int
    row: int

    @property
    def end(self) -> int:
        return self.row + self.last - self.first


@dataclass(frozen=True, slots=True)
class Read:
    """Queries `begin:end` of the row attend fully to keys of the row (`row`, `length`) or to stored ones.

    `start` is the position of the first key; all keys lie before all queries on the queries' paths.
    """

    begin: int
    end: int
    start: int
    length: int
    row: int | None = None
    stored: Stored | None = None


@dataclass(frozen=True, slots=True)
class Causal:
    """Row segments of one chain each that attend to themselves; computed together, padded to the longest."""

    segments: tuple[tuple[int, int], ...]
    """(begin, length) in the row."""


@dataclass(frozen=True, slots=True)
class Layout:
    """One forward: the row's ids and positions, and its attention."""

    ids: tuple[int, ...]
    positions: tuple[int, ...]
    spans: tuple[Span, ...]
    causal: tuple[Causal, ...]
    reads: tuple[Read, ...]


def build_layout(
    pieces: Sequence[tuple[Node, int, int]], stored: Mapping[Node, Stored], *, chains: bool = True
) -> Layout:
    """The layout of `pieces`, (node, first, last), given in depth-first order.

    Everything before a piece on its path is either an earlier piece or in `stored`. With `chains`, pieces that follow
    one another on a path form one causal segment; without, each is its own, whatever the company.
    """
    ids: list[int] = []
    positions: list[int] = []
    spans: list[Span] = []
    segments: list[tuple[int, int]] = []
    by_node: dict[Node, list[Span]] = {}
    reads: list[Read] = []
    for node, first, last in pieces:
        span = Span(node, first, last, len(ids))
        ids += node.ids[first:last]
        positions += range(node.start + first, node.start + last)
        before = sources(node, first, by_node, stored)
        last_read = before[-1] if before else None
        begin = span.row
        if chains and last_read is not None and last_read.row is not None:
            begin_of_source = last_read.row
            if begin_of_source + last_read.length == span.row and segments and segments[-1][0] == begin_of_source:
                begin = begin_of_source  # the whole segment before is on this path: one causal call does both
                before = before[:-1]
        if begin == span.row:
            segments.append((begin, span.end - begin))
            reads += [Read(span.row, span.end, s.start, s.length, s.row, s.stored) for s in before]
        else:
            segments[-1] = (begin, span.end - begin)
            reads = [widened(read, span.row, span.end) for read in reads]
        by_node.setdefault(node, []).append(span)
        spans.append(span)
    return Layout(tuple(ids), tuple(positions), tuple(spans), batched(segments), joined(reads))


def sources(node: Node, first: int, by_node: dict[Node, list[Span]], stored: Mapping[Node, Stored]) -> list[Read]:
    """Where the keys before token `first` of `node` are, from the root down; neighbours in the row are one source."""
    found: list[Read] = []

    def add(read: Read) -> None:
        if found and read.row is not None and found[-1].row is not None:
            last = found[-1]
            assert last.row is not None
            if last.row + last.length == read.row:
                found[-1] = Read(0, 0, last.start, last.length + read.length, last.row)
                return
        found.append(read)

    for ancestor in (*node.ancestors(), node):
        kept = stored.get(ancestor)
        done = 0
        if kept is not None and kept.filled:
            add(Read(0, 0, kept.start, kept.filled, None, kept))
            done = kept.filled
        for span in by_node.get(ancestor, ()):
            add(Read(0, 0, ancestor.start + span.first, span.last - span.first, span.row))
            done = span.last
        if done < (first if ancestor is node else len(ancestor.ids)):
            raise ValueError("a piece comes before what it reads")
    return found


def widened(read: Read, begin: int, end: int) -> Read:
    """A read whose queries end at `begin`, now up to `end`; others unchanged."""
    return Read(read.begin, end, read.start, read.length, read.row, read.stored) if read.end == begin else read


def joined(reads: Sequence[Read]) -> tuple[Read, ...]:
    """Reads of the same keys by neighbouring queries as one."""
    out: list[Read] = []
    open_reads: dict[tuple[int | None, int, int | None], int] = {}
    for read in reads:
        key = (read.row, read.length, None if read.stored is None else id(read.stored))
        at = open_reads.get(key)
        if at is not None and out[at].end == read.begin:
            out[at] = Read(out[at].begin, read.end, read.start, read.length, read.row, read.stored)
        else:
            open_reads[key] = len(out)
            out.append(read)
    return tuple(out)


LONG = 256
"""Segments from this length on get a causal call of their own."""


def batched(segments: Sequence[tuple[int, int]]) -> tuple[Causal, ...]:
    """Long segments alone; short ones together by similar length, so that padding at most doubles the work."""
    calls = [Causal((segment,)) for segment in segments if segment[1] >= LONG]
    short = sorted((segment for segment in segments if segment[1] < LONG), key=lambda segment: segment[1])
    group: list[tuple[int, int]] = []
    for segment in short:
        if group and segment[1] > 2 * max(group[0][1], 16):
            calls.append(Causal(tuple(group)))
            group = []
        group.append(segment)
    if group:
        calls.append(Causal(tuple(group)))
    return tuple(calls)
