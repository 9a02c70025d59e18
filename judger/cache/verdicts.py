"""The verdict cache: what was judged once is not judged again, whoever asks and whenever.

A verdict's address is its content: judge, query, report, language and tier make the context, a criterion's text and
sign the statement. Contexts live in memory, least recently used out first, in front of one SQLite file where one is
set (`sqlite`), and of a Redis that several servers share (`redis`). Only successes are kept: a failure is tried again.
Raw outcomes are kept, as the engine gave them; `judge_id` names the calibration, too.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from judger.cache.redis import CacheRedis
from judger.cache.sqlite import CacheFile
from judger.engines.base import Outcome, Tier
from judger.types import Case, Criterion, Probabilities, Span
from judger.verdict import is_distribution

__all__ = ["VerdictCache"]

OUTCOME_BYTES = 500
"""About what one outcome takes in memory, without its rationale."""


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
        address = self._address(case, tier)
        known = self._contexts.get(address)
        if self.file is not None and (known is None or len(known.outcomes) < len(case.criteria)):
            for body in await self.file.read(address):
                self._remember(address, _decode(body))
            # Anew: while the file was read, somebody's work may have been kept.
            known = self._contexts.get(address)
        if self.shared is not None and (missing := _missing(case, known)):
            self._remember(address, await self._shared(self.shared, address, missing))
            known = self._contexts.get(address)
        if known is None:
            return {}
        self._contexts.move_to_end(address)
        outcomes, found = known.outcomes, {}
        for position, criterion in enumerate(case.criteria):
            if (outcome := outcomes.get(key := _statement(criterion))) is not None:
                if outcome.shared_tokens != outcome.prompt_tokens:  # none of its prompt has to be computed any more
                    outcome = outcomes[key] = replace(outcome, shared_tokens=outcome.prompt_tokens)
                found[position] = outcome
        return found

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
            self.file.write(address, _encode(successes))
        if self.shared is not None:
            self.shared.write(address, {key: _encode({key: outcome}) for key, outcome in successes.items()})

    async def close(self) -> None:
        """Writes what is still to be written, and closes the tiers."""
        if self.file is not None:
            await self.file.close()
        if self.shared is not None:
            await self.shared.close()

    async def _shared(self, shared: CacheRedis, address: bytes, missing: list[bytes]) -> dict[bytes, Outcome]:
        found: dict[bytes, Outcome] = {}
        for key, body in (await shared.read(address, missing)).items():
            try:
                (outcome,) = (one for of, one in _decode(body).items() if of == key)
            except (ValueError, TypeError, LookupError, RecursionError):  # written by nobody of ours
                shared.garbled()
                continue
            if isinstance(outcome.result, Probabilities) and is_distribution(outcome.result):
                found[key] = outcome
            else:
                shared.garbled()
        return found

    def _address(self, case: Case, tier: Tier) -> bytes:
        tier_text = f"{tier.explain}/{tier.explain_margin!r}/{tier.trials}{'/pair' if tier.is_pairwise else ''}"
        hasher = hashlib.blake2b(digest_size=24)
        for text in (self.judge_id, case.language, tier_text, case.query, case.report):
            encoded = text.encode()
            hasher.update(len(encoded).to_bytes(8, "big"))
            hasher.update(encoded)
        return hasher.digest()

    def _remember(self, address: bytes, outcomes: dict[bytes, Outcome]) -> None:
        known = self._contexts.get(address)
        if known is None:
            known = self._contexts[address] = _Known()
            self._size += known.size
        else:
            self._contexts.move_to_end(address)
        grown = 0
        for key, outcome in outcomes.items():
            if known.outcomes.setdefault(key, outcome) is outcome:
                grown += OUTCOME_BYTES + len(outcome.rationale or "")
        known.size += grown
        self._size += grown
        while self._size > self.memory_bytes and len(self._contexts) > 1:
            self._size -= self._contexts.popitem(last=False)[1].size


def _missing(case: Case, known: _Known | None) -> list[bytes]:
    """The statements of a case that aren't known, each once."""
    wanted = dict.fromkeys(map(_statement, case.criteria))
    return [one for one in wanted if known is None or one not in known.outcomes]


def _statement(criterion: Criterion) -> bytes:
    digest = _remembered if len(criterion.text) <= 2048 else _digest
    return digest(criterion.text, criterion.weight < 0)


def _digest(text: str, negative: bool) -> bytes:
    return hashlib.blake2b((b"-" if negative else b"+") + text.encode(), digest_size=16).digest()


# A trainer sends the same rubric with every rollout of a task.
_remembered = functools.lru_cache(maxsize=4096)(_digest)


def _encode(outcomes: dict[bytes, Outcome]) -> bytes:
    """JSON: it has no code to run, and its doubles come back bit by bit."""
    rows = []
    for key, outcome in outcomes.items():
        p = outcome.result
        assert isinstance(p, Probabilities)
        spans = [[span.start, span.end] for span in outcome.evidence]
        rows.append([key.hex(), [p.p_not, p.p_partial, p.p_full], spans, outcome.rationale, outcome.prompt_tokens])
    return json.dumps(rows, separators=(",", ":")).encode()


def _decode(body: bytes) -> dict[bytes, Outcome]:
    return {
        bytes.fromhex(key): Outcome(
            result=Probabilities(*p),
            evidence=tuple(Span(start, end) for start, end in spans),
            rationale=rationale,
            prompt_tokens=tokens,
            shared_tokens=tokens,
        )
        for key, p, spans, rationale, tokens in json.loads(body)
    }
