"""Near-duplicates by MinHash and locality-sensitive hashing (datasketch; Broder 1997): the first is kept."""

from __future__ import annotations

from collections.abc import Iterable

from train.synth import words

__all__ = ["NEAR", "near_duplicates"]

NEAR = 0.5
"""Jaccard similarity of two texts' word shingles above which they are one."""
_SHINGLE = 3
_PERMUTATIONS = 128


def near_duplicates(texts: Iterable[tuple[str, str]]) -> dict[str, str]:
    """{id: id of the earlier text that it nearly repeats} of (id, text), in linear time."""
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(threshold=NEAR, num_perm=_PERMUTATIONS)
    hashes: dict[str, MinHash] = {}
    found: dict[str, str] = {}
    for identity, text in texts:
        shingles = {" ".join(gram).encode() for gram in words.ngrams(text, _SHINGLE)} or {
            text.encode("utf-8", "replace")
        }
        hashed = MinHash(num_perm=_PERMUTATIONS)
        hashed.update_batch(shingles)
        # The index finds candidates; the estimate decides.
        near_by = [other for other in index.query(hashed) if hashed.jaccard(hashes[other]) >= NEAR]
        if near_by:
            found[identity] = min(near_by, key=lambda other: -hashed.jaccard(hashes[other]))
            continue
        index.insert(identity, hashed)
        hashes[identity] = hashed
    return found
