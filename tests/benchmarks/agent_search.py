"""How often the local search has the right paragraph among its first five, and plain FTS5 beside it.

    python -m tests.benchmarks.agent_search [--misses] [--stored]

A hundred questions in other words than the documents use, over the bundled collection; each names words that only the
right paragraph has. They were written and committed before the ranking was tuned, and are not changed to suit it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from policy.bundled import corpus
from policy.index.dense import digest, find_embedder, load_known
from policy.index.store import Hit, LocalIndex

QUESTIONS = Path(__file__).with_name("agent_search_questions.tsv")


def questions() -> list[tuple[str, str]]:
    """(question, words of the right paragraph)."""
    rows = [line.split("\t") for line in QUESTIONS.read_text(encoding="utf-8").splitlines()]
    return [(question, words) for question, words in rows]


def ranks(find: Callable[[str, int], Sequence[Hit]]) -> list[int]:
    """For each question the place of the right paragraph among ten, counted from 1; 0 where it is not there."""
    found = []
    for question, words in questions():
        hits = find(question, 10)
        found.append(next((place for place, hit in enumerate(hits, 1) if words in hit.passage.text), 0))
    return found


def recall(found: Sequence[int], within: int) -> float:
    return sum(0 < place <= within for place in found) / len(found)


class StoredQueries:
    """The encoder's vectors of the questions, kept beside them, so that the ranking is tested without torch."""

    name, width = "all-MiniLM-L6-v2", 384

    def __init__(self) -> None:
        self._known = load_known(QUESTIONS.with_name("agent_search_vectors.npz"), self)

    def __call__(self, texts: Sequence[str]) -> Any:
        return [self._known[digest(text)].astype("float32") for text in texts]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--misses", action="store_true")
    parser.add_argument("--stored", action="store_true", help="do not run the encoder; use its stored vectors")
    arguments = parser.parse_args()
    with corpus() as folder:
        index = LocalIndex.in_memory(folder, StoredQueries() if arguments.stored else find_embedder())
    print(f"{len(questions())} questions over {index.num_passages} paragraphs; by meaning too: {index.is_dense}")
    ours, plain = ranks(index.search), ranks(index.candidates)
    for name, found in (("local search", ours), ("plain FTS5", plain)):
        figures = ", ".join(f"top {n} {recall(found, n):.0%}" for n in (1, 3, 5, 10))
        print(f"{name:13} {figures}")
    if arguments.misses:
        for (question, words), place in zip(questions(), ours, strict=True):
            if not 0 < place <= 5:
                print(f"{place:3}  {question}  [{words}]")


if __name__ == "__main__":
    main()
