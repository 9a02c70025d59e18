"""The verdict cache: what was judged once is not judged again, whoever asks and whenever.

A verdict's address is its content: judge, query, report, language and tier make the context, a criterion's text and
sign the statement. Contexts live in memory, least recently used out first, in front of one SQLite file where one is
set (`sqlite`), and of a Redis that several servers share (`redis`); `codec` makes bytes of outcomes. Only successes
are kept: a failure is tried again. Raw outcomes are kept, as the engine gave them; `judge_id` names the calibration.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from judger.cache.codec import decode, encode
from judger.cache.redis import CacheRedis
from judger.cache.sqlite import CacheFile
from judger.engines.base import Outcome, Tier
from judger.types import Case, Criterion, Probabilities
from judger.verdict import is_distribution

__all__ = ["VerdictCache"]

OUTCOME_BYTES = 500
"""About what one outcome takes in memory, without its rationale and evidence."""
SPAN_BYTES = 120
LONG = 2**16
"""Characters of a case from which its address is made in a thread: hashing would hold up the loop."""


@dataclass(slots=True)
class _Known:
    outcomes: dict[bytes, Outcome] = field(default_factory=dict)
    size: int = OUTCOME_BYTES


class VerdictCache:
    """Looks up and keeps the outcomes of one judge. Lives on one event loop; `close` it when done.

    Args:
        judge_id: part of every address.
        memory_bytes: about how much memory the youngest contexts may take.
        file: holds them all, as far as its own limit goes; owned from here on.
        shared: asked for what neither has; owned from here on.
    """

    def __init__(
        self,
        judge_id: str,
        *,
        memory_bytes: int = 64 * 2**20,
        file: CacheFile | None = None,
        shared: CacheRedis | None = None,
    ) -> None:
        self.judge_id = judge_id
        self.memory_bytes = memory_bytes
        self.file = file
        self.shared = shared
        self._contexts: OrderedDict[bytes, _Known] = OrderedDict()
        self._size = 0

    async def look_up(self, case: Case, tier: Tier) -> dict[int, Outcome]:
        """What is known of a case, by position in its criteria."""
        is_long = len(case.query) + len(case.report) >= LONG
        address = await asyncio.to_thread(self._address, case, tier) if is_long else self._address(case, tier)
        wanted = list(map(_statement, case.criteria))
        found: dict[bytes, Outcome] = {}
        if self.file is not None and self._missing(address, wanted, found):
            for body in await self.file.read(address):
                found |= _decoded(body, case, self.file.garbled)
        if self.shared is not None and (missing := self._missing(address, wanted, found)):
            for key, body in (await self.shared.read(address, missing)).items():
                outcomes = _decoded(body, case, self.shared.garbled)
                if key in outcomes:
                    found[key] = outcomes[key]
        self._remember(address, found)
        # Only now: while others were asked, somebody's work may have been kept.
        known = self._contexts.get(address, _Known())
        if known.outcomes:
            self._contexts.move_to_end(address)
        by_position = {}
        for position, key in enumerate(wanted):
            if (outcome := known.outcomes.get(key)) is not None:
                if outcome.shared_tokens != outcome.prompt_tokens:  # none of its prompt has to be computed any more
                    outcome = known.outcomes[key] = replace(outcome, shared_tokens=outcome.prompt_tokens)
                by_position[position] = outcome
            elif key in found:  # more than memory takes
                by_position[position] = found[key]
        return by_position

    def keep(self, case: Case, tier: Tier, outcomes: Sequence[Outcome]) -> None:
        """Keeps the successes among the outcomes of a case, one per criterion in order."""
        successes = {
            _statement(criterion): outcome
            for criterion, outcome in zip(case.criteria, outcomes, strict=True)
            if isinstance(outcome.result, Probabilities) and is_distribution(outcome.result)
        }
        if not successes:
            return
        address = self._address(case, tier)
        self._remember(address, successes)
        if self.file is not None:
            self.file.write(address, encode(successes))
        if self.shared is not None:
            self.shared.write(address, {key: encode({key: outcome}) for key, outcome in successes.items()})

    async def close(self) -> None:
        """Writes what is still to be written, and closes the tiers."""
        if self.file is not None:
            await self.file.close()
        if self.shared is not None:
            await self.shared.close()

    def _missing(self, address: bytes, wanted: list[bytes], found: Mapping[bytes, Outcome]) -> list[bytes]:
        """The statements that neither memory has nor was found elsewhere, each once."""
        known = self._contexts.get(address)
        have = known.outcomes if known is not None else {}
        return [one for one in dict.fromkeys(wanted) if one not in have and one not in found]

    def _address(self, case: Case, tier: Tier) -> bytes:
        tier_text = f"{tier.explain}/{tier.explain_margin!r}/{tier.trials}{'/pair' if tier.is_pairwise else ''}"
        hasher = hashlib.blake2b(digest_size=24)
        for text in (self.judge_id, case.language, tier_text + tier.together, case.query, case.report):
            encoded = text.encode("utf-8", "surrogatepass")  # refusing half a character is the validation's work
            hasher.update(len(encoded).to_bytes(8, "big"))
            hasher.update(encoded)
        return hasher.digest()

    def _remember(self, address: bytes, outcomes: Mapping[bytes, Outcome]) -> None:
        if not outcomes:
            return
        known = self._contexts.get(address)
        if known is None:
            known = self._contexts[address] = _Known()
            self._size += known.size
        else:
            self._contexts.move_to_end(address)
        grown = 0
        for key, outcome in outcomes.items():
            if known.outcomes.setdefault(key, outcome) is outcome:
                grown += _size(outcome)
        known.size += grown
        self._size += grown
        if known.size > self.memory_bytes:  # it would push out all others, and still not fit
            self._size -= self._contexts.pop(address).size
        while self._size > self.memory_bytes:
            self._size -= self._contexts.popitem(last=False)[1].size


def _decoded(body: bytes, case: Case, garbled: Callable[[], None]) -> dict[bytes, Outcome]:
    """What a tier has of a case, without what nobody of ours wrote."""
    outcomes, strange = decode(body)
    fitting = {
        key: outcome
        for key, outcome in outcomes.items()
        if all(span.end <= len(case.report) for span in outcome.evidence)
    }
    if strange or len(fitting) < len(outcomes):
        garbled()
    return fitting


def _size(outcome: Outcome) -> int:
    """About how many bytes it takes in memory."""
    return OUTCOME_BYTES + sys.getsizeof(outcome.rationale) + SPAN_BYTES * len(outcome.evidence)


def _statement(criterion: Criterion) -> bytes:
    digest = _remembered if len(criterion.text) <= 2048 else _digest
    return digest(criterion.text, criterion.weight < 0)


def _digest(text: str, negative: bool) -> bytes:
    return hashlib.blake2b(
        (b"-" if negative else b"+") + text.encode("utf-8", "surrogatepass"), digest_size=16
    ).digest()


# A trainer sends the same rubric with every rollout of a task.
_remembered = functools.lru_cache(maxsize=4096)(_digest)
