"""The whole path on one screen: a case goes in, verdicts and a reward come out.

    case -> look up what is known -> join what is in flight -> batch -> engine -> calibrated verdicts -> reward

The judge knows no protobuf and no model. An engine is batched here (`judger.schedule.batcher`) or batches by itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from judger.cache.verdicts import VerdictCache
from judger.engines.base import PAIR_TIER, Engine, SelfBatching, Tier
from judger.engines.mass import LabelMass
from judger.errors import DeadlineExceeded, EngineError, JudgeMismatch, JudgerError, TooLarge, Unsupported
from judger.pairwise import Contest, compared, duels
from judger.reward import reward
from judger.schedule.admission import Admission, Ticket, estimated_tokens
from judger.schedule.batcher import Batcher
from judger.schedule.direct import Direct
from judger.schedule.inflight import InFlight, Joined
from judger.schedule.isolation import Ran
from judger.steering import FlagFinder, prepare
from judger.types import Case, Judgement, Options, Reason, Unscored, Usage
from judger.verdict import Calibration, verdict

logger = logging.getLogger(__name__)

CLOSE_SECONDS = 10.0
"""That the cache may take to write what is pending."""


class Judge:
    """Judges cases with one engine. Lives on one event loop; `close` it when done.

    Args:
        engine: owned from here on.
        calibration: instead of the engine's own; part of `judge_id`.
        cache: made from the `judge_id`; none by default.
        max_batch_tokens, max_wait, rebuild, engine_timeout, backoff: see `Batcher`.
        admission: what is refused at once; by default nothing.
    """

    def __init__(
        self,
        engine: Engine | SelfBatching,
        *,
        calibration: Calibration | None = None,
        cache: Callable[[str], VerdictCache] | None = None,
        admission: Admission | None = None,
        rebuild: Callable[[], Engine | SelfBatching] | None = None,
        max_batch_tokens: int = 16_384,
        max_wait: float = 0.002,
        engine_timeout: float = 600.0,
        backoff: float = 0.5,
    ) -> None:
        self.calibration = calibration or engine.calibration
        self.judge_id = engine.identity.judge_id(self.calibration)
        self.cache = cache(self.judge_id) if cache is not None else None
        self.admission = admission or Admission(2**62)
        self.label_mass = LabelMass()
        self.num_in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._inflight = InFlight(self._run, self.admission.weights)
        self._flags = FlagFinder()
        self.work: Batcher | Direct
        if isinstance(engine, SelfBatching):
            self.work = Direct(
                engine,
                max_batch_tokens=max_batch_tokens,
                admission=self.admission,
                rebuild=rebuild,
                engine_timeout=engine_timeout,
                backoff=backoff,
            )
        else:
            self.work = Batcher(
                engine,
                max_batch_tokens=max_batch_tokens,
                max_wait=max_wait,
                admission=self.admission,
                rebuild=rebuild,
                engine_timeout=engine_timeout,
                backoff=backoff,
            )

    @property
    def engine(self) -> Engine | SelfBatching:
        """The one that judges now: after a crash it is a new one."""
        return self.work.keeper.engine

    async def judge(self, case: Case, options: Options | None = None, ticket: Ticket | None = None) -> Judgement:
        """Judges one case. What could not be judged is unscored in the result; only refusals are raised.

        Raises:
            Overloaded: it can't be done in time, or there is no room for it.
            Unavailable: the judge is shutting down, or its engine is being restarted.
        """
        options = options or Options()
        ticket = ticket or Ticket(options.lane)
        tier = self._tier_of(case, options)
        with self._counted():
            try:
                ran = await self._outcomes(case, tier, ticket)
            finally:
                ticket.give_back()  # the room of a group's case that was known, or others' work
            flags = await self._flags.find(case)
        verdicts = tuple(
            verdict(
                criterion,
                outcome.result,
                calibration=self.calibration,
                rationale=outcome.rationale,
                evidence=outcome.evidence,
            )
            for criterion, outcome in zip(case.criteria, ran.outcomes, strict=True)
        )
        return Judgement(
            case_id=case.id,
            verdicts=verdicts,
            reward=reward(case.criteria, verdicts, mapping=options.mapping, allow_unscored=options.allow_unscored),
            judge_id=self.judge_id,
            usage=Usage(
                prompt_tokens=sum(outcome.prompt_tokens for outcome in ran.outcomes),
                shared_tokens=sum(outcome.shared_tokens for outcome in ran.outcomes),
                queue_seconds=ran.queue_seconds,
                engine_seconds=ran.engine_seconds,
                joined_criteria=ran.joined,
                cached_criteria=ran.known,
            ),
            flags=flags,
        )

    async def compare(self, a: Case, b: Case, ticket: Ticket) -> Contest:
        """Which of two reports on one query is better, without criteria.

        Raises:
            Unsupported: the engine has no pairwise prompt.
            TooLarge, DeadlineExceeded, EngineError: one of the two orders has no verdict, and why.
            Overloaded, Unavailable: as of `judge`.
        """
        engine = self.engine
        if not engine.capabilities.can_compare:
            raise Unsupported(f"criteria: the {engine.identity.engine} engine compares by criteria only; give some")
        with self._counted():
            both = await asyncio.gather(*(self._outcomes(duel, PAIR_TIER, ticket) for duel in duels(a, b)))
        found = []
        for outcomes in both:
            result = outcomes.outcomes[0].result
            if isinstance(result, Unscored):
                raise no_verdict(result)
            found.append(result)
        return compared(found[0], found[1])

    async def admit(self, cases: Sequence[Case], options: Options, ticket: Ticket) -> list[Ticket]:
        """Admits a group whole or not at all; what is known of it costs nothing.

        Returns:
            A ticket for each case, with the room that is held for it until it is judged or given back.

        Raises:
            Overloaded: there is no room for it, or no time.
        """
        tiers = [self._tier_of(case, options) for case in cases]
        known: Sequence[Mapping[int, object]] = [{}] * len(cases)
        if self.cache is not None:
            known = await asyncio.gather(*map(self.cache.look_up, cases, tiers))
        sizes = [
            estimated_tokens(case, tier) if len(of_it) < len(case.criteria) else 0
            for case, tier, of_it in zip(cases, tiers, known, strict=True)
        ]
        if any(sizes):
            room = await self.admission.enter(sum(sizes), ticket)
        else:
            room = self.admission.holding(0, ticket.lane)
        return [replace(ticket, room=room.part(size)) for size in sizes]

    async def _outcomes(self, case: Case, tier: Tier, ticket: Ticket) -> Joined:
        """What is known of a case, and what the engine says of the rest."""
        known = await self.cache.look_up(case, tier) if self.cache is not None else {}
        if tier.together and len(known) < len(case.criteria):
            known = {}  # without those that are known the rest would be judged in other company
        return await self._inflight.run(case, tier, ticket, known)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """One more in flight, which `drain` waits for."""
        self.num_in_flight += 1
        self._idle.clear()
        try:
            yield
        finally:
            self.num_in_flight -= 1
            if not self.num_in_flight:
                self._idle.set()

    async def _run(self, case: Case, tier: Tier, ticket: Ticket) -> Ran:
        """One piece of work, for whoever asks for it."""
        tokens = estimated_tokens(case, tier)
        with ticket.room or await self.admission.enter(tokens, ticket) as room, ticket.followed(room.move):
            ran = await self.work.run(case, tier, ticket, tokens)
        self.label_mass.add(ran.outcomes)
        if self.cache is not None:  # here, where nobody can come between its end and its being known
            self.cache.keep(case, tier, ran.outcomes)
        return ran

    def tier(self, options: Options) -> Tier:
        """How the engine is to judge."""
        return Tier(
            explain=options.explain,
            explain_margin=options.explain_margin,
            trials=options.trials,
            calibration=self.calibration,
        )

    def _tier_of(self, case: Case, options: Options) -> Tier:
        tier = self.tier(options)
        return replace(tier, together=company(case)) if self.engine.capabilities.reads_together else tier

    def check_pin(self, judge_id: str) -> None:
        """Raises JudgeMismatch where a request pins another judge; an empty pin takes any."""
        if judge_id and judge_id != self.judge_id:
            raise JudgeMismatch(judge_id, self.judge_id)

    def check_options(self, options: Options) -> None:
        """Raises Unsupported for what this engine can't do, rather than leave it out in silence."""
        if options.explain != "never" and not self.engine.capabilities.can_explain:
            raise Unsupported(f"explain: the {self.engine.identity.engine} engine writes no rationales; use NEVER")

    async def warm_up(self) -> None:
        """Judges one small case, past cache and queue. Raises EngineError where no verdict comes of it."""
        await asyncio.to_thread(prepare)  # or the first reports would hold up the loop
        try:
            self.label_mass.add(await self.work.prove())
        except JudgerError:
            raise
        except Exception as error:
            raise EngineError(f"the warm-up verdict failed: {type(error).__name__}: {error}") from error

    async def drain(self, grace: float) -> bool:
        """Waits until nothing is being judged; False if something still is after `grace` seconds."""
        try:
            async with asyncio.timeout(grace):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Whoever still waits is told UNAVAILABLE; then engine and cache are closed, or left behind."""
        await self.work.close()
        if self.cache is not None:
            try:
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self.cache.close()
            except TimeoutError:
                logger.warning("the verdict cache has not closed after %.0f s and is left behind", CLOSE_SECONDS)


def company(case: Case) -> str:
    """A digest of a case's criteria in their order: what verdicts hold for that depend on one another."""
    hasher = hashlib.blake2b(digest_size=16)
    for criterion in case.criteria:
        text = f"{criterion.is_negative} {len(criterion.text)} {criterion.text}"
        hasher.update(text.encode("utf-8", "surrogatepass"))
    return hasher.hexdigest()


def no_verdict(why: Unscored) -> JudgerError:
    """The error that stands for a missing verdict where an answer without it has no meaning."""
    match why.reason:
        case Reason.TOO_LONG:
            return TooLarge(why.detail)
        case Reason.DEADLINE:
            return DeadlineExceeded(why.detail)
        case _:
            return EngineError(f"{why.reason}: {why.detail}")
