"""The cascade behind the engines' own Protocols.

Where all judges run in this process it is an `Engine`: the batch goes through the first level whole, and what is left
open of all its cases is one batch of the second. Where one of them batches by itself (an endpoint, vLLM) it is
`SelfBatching`: the others run in a thread of their own, a case at a time.

A second level that fails leaves its criteria unscored. It then has to prove itself before the next batch; one that
can't fails that batch, so that whoever keeps the engine alive builds all of it anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace

from judger.engines.base import VERDICT_TIER, Capabilities, Engine, Outcome, Plan, SelfBatching, Tier
from judger.engines.cascade.combine import Said, is_settled, mean, own
from judger.engines.cascade.judges import Levels, Member, identity_of
from judger.engines.cascade.settings import CascadeSettings, Level
from judger.engines.proof import WARM_UP
from judger.errors import EngineError, Unsupported, is_out_of_memory
from judger.types import Case, Reason, Unscored
from judger.verdict import IDENTITY

__all__ = ["CascadeEngine", "RemoteCascade", "make_cascade"]

logger = logging.getLogger(__name__)


def make_cascade(settings: CascadeSettings, levels: Levels, level: Level = "both") -> CascadeEngine | RemoteCascade:
    """The cascade of these judges: an `Engine` where all of them are. `level`: ask that one alone."""
    if all(isinstance(member.engine, Engine) for members in levels for member in members):
        return CascadeEngine(settings, levels, level)
    return RemoteCascade(settings, levels, level)


class _Cascade:
    """What both kinds share: who they are, and how the levels' answers are joined."""

    def __init__(self, settings: CascadeSettings, levels: Levels, level: Level) -> None:
        self.settings, self.levels, self.level = settings, levels, level
        self.calibration = IDENTITY
        """Each judge's own is applied inside."""
        self.num_first = self.num_second = 0
        """Criteria that were asked of each level so far."""
        self._in_doubt = True
        """Whether the second level has to prove itself before it is relied on."""
        members = [*levels[0], *levels[1]]
        self.identity = identity_of(settings, levels, level)
        # What the first level can't read is unscored there, and so goes on.
        languages = [set(member.engine.capabilities.languages) for member in levels[1]]
        limits = [n for member in members if (n := member.engine.capabilities.prompt_tokens)]
        known = [found for found in languages if found]
        self.capabilities = Capabilities(
            languages=tuple(sorted(set.intersection(*known))) if known else (),
            can_explain=all(member.engine.capabilities.can_explain for member in members),
            prompt_tokens=min(limits, default=0),
            reads_together=any(member.engine.capabilities.reads_together for member in members),
        )

    def close(self) -> None:
        """All judges, each whatever becomes of the others."""
        with ExitStack() as stack:
            for member in (*self.levels[0], *self.levels[1]):
                stack.callback(member.engine.close)

    def _tier(self, tier: Tier, member: Member) -> Tier:
        if tier.is_pairwise:
            raise Unsupported("criteria: the cascade compares by criteria only; give some")
        return replace(tier, calibration=member.calibration)

    def _open(self, case: Case, first: Sequence[Outcome]) -> list[int]:
        """Positions that the second level is asked about."""
        if self.level == "first":
            return []
        return [
            i
            for i, (criterion, outcome) in enumerate(zip(case.criteria, first, strict=True))
            if self.level == "second" or not is_settled(outcome, self.settings.margin, negative=criterion.is_negative)
        ]

    def _joined(self, first: Sequence[Outcome], asked: Mapping[int, Outcome]) -> list[Outcome]:
        self.num_first += len(first)
        self.num_second += len(asked)
        out = list(first)
        for position, second in asked.items():
            before = first[position]
            is_kept = isinstance(second.result, Unscored) and self.settings.on_failure == "first"
            out[position] = replace(
                before if is_kept else second,
                evidence=before.evidence if is_kept else second.evidence or before.evidence,
                prompt_tokens=before.prompt_tokens + second.prompt_tokens,
                shared_tokens=before.shared_tokens + second.shared_tokens,
            )
        return out


class CascadeEngine(_Cascade):
    """A cascade of engines that run in this process. `plan` is safe in any thread; `run` belongs to one."""

    def plan(self, case: Case, tier: Tier) -> Plan:
        plans = [_engine(member).plan(case, self._tier(tier, member)) for member in self.levels[0]]
        # What the second level will be asked is not known yet; its batch is at most what it would be for all of it.
        later = [_engine(member).plan(case, self._tier(tier, member)).tokens for member in self.levels[1]]
        return Plan(case=case, tier=tier, tokens=max([*(plan.tokens for plan in plans), *later]), payload=plans)

    def run(self, plans: Sequence[Plan]) -> list[list[Outcome]]:
        if self._in_doubt and self.level != "first" and self.settings.on_failure == "unscored":
            for member in self.levels[1]:
                _check(_engine(member).run([_engine(member).plan(WARM_UP, VERDICT_TIER)])[0], member)
        self._in_doubt = False
        first = [_unasked(plan.case) for plan in plans] if self.level == "second" else self._first(plans)
        asked: list[dict[int, Outcome]] = [{} for _ in plans]
        todo = [(number, open_) for number, plan in enumerate(plans) if (open_ := self._open(plan.case, first[number]))]
        if todo:
            cases = [_part(plans[number].case, open_) for number, open_ in todo]
            answers = self._second(cases, [plans[number].tier for number, _ in todo])
            for (number, open_), outcomes in zip(todo, answers, strict=True):
                asked[number] = dict(zip(open_, outcomes, strict=True))
        return [self._joined(one, more) for one, more in zip(first, asked, strict=True)]

    def _first(self, plans: Sequence[Plan]) -> list[list[Outcome]]:
        by_member = []
        for number, member in enumerate(self.levels[0]):
            own_plans = [plan.payload[number] for plan in plans]  # type: ignore[index]
            by_member.append(_engine(member).run(own_plans))
        return [_level(self.levels[0], plan.case, [found[i] for found in by_member]) for i, plan in enumerate(plans)]

    def _second(self, cases: Sequence[Case], tiers: Sequence[Tier]) -> list[list[Outcome]]:
        by_member = [self._asked(member, cases, tiers) for member in self.levels[1]]
        return [_level(self.levels[1], case, [found[i] for found in by_member]) for i, case in enumerate(cases)]

    def _asked(self, member: Member, cases: Sequence[Case], tiers: Sequence[Tier]) -> list[list[Outcome]]:
        """One judge of the second level; a case that takes others down is run alone, and fails alone."""
        engine = _engine(member)
        plans: list[Plan] = []
        try:
            plans = [engine.plan(case, self._tier(tier, member)) for case, tier in zip(cases, tiers, strict=True)]
            return engine.run(plans)
        except Exception as error:
            if is_out_of_memory(error) and len(cases) > 1:
                raise  # the batch is halved by whoever made it
            logger.warning("%s failed: %r", member.name, error, exc_info=True)
            if len(cases) > 1:
                return [self._asked(member, [case], [tier])[0] for case, tier in zip(cases, tiers, strict=True)]
            self._in_doubt = True
            return [_failed(cases[0], error)]


class RemoteCascade(_Cascade):
    """A cascade with a judge that batches by itself. Lives on one event loop."""

    def __init__(self, settings: CascadeSettings, levels: Levels, level: Level) -> None:
        super().__init__(settings, levels, level)
        members = [*levels[0], *levels[1]]
        self._threads = {
            id(member): ThreadPoolExecutor(1, "judger-cascade")
            for member in members
            if not isinstance(member.engine, SelfBatching)
        }

    async def judge(self, case: Case, tier: Tier) -> list[Outcome]:
        """One outcome per criterion. Raises what the first level raises, and EngineError for a dead second one."""
        if self._in_doubt and self.level != "first" and self.settings.on_failure == "unscored":
            for member in self.levels[1]:
                _check(await self._ask(member, WARM_UP, VERDICT_TIER), member)
        self._in_doubt = False
        if self.level == "second":
            first = _unasked(case)
        else:
            said = await asyncio.gather(*(self._ask(member, case, tier) for member in self.levels[0]))
            first = _level(self.levels[0], case, said)
        open_ = self._open(case, first)
        if not open_:
            return self._joined(first, {})
        part = _part(case, open_)
        more = await asyncio.gather(*(self._or_failed(member, part, tier) for member in self.levels[1]))
        return self._joined(first, dict(zip(open_, _level(self.levels[1], part, more), strict=True)))

    def close(self) -> None:
        super().close()
        for pool in self._threads.values():
            pool.shutdown(wait=False, cancel_futures=True)

    async def _ask(self, member: Member, case: Case, tier: Tier) -> list[Outcome]:
        tier, engine = self._tier(tier, member), member.engine
        if isinstance(engine, SelfBatching):
            return await engine.judge(case, tier)
        found = asyncio.get_running_loop().run_in_executor(
            self._threads[id(member)], lambda: engine.run([engine.plan(case, tier)])[0]
        )
        return await found

    async def _or_failed(self, member: Member, case: Case, tier: Tier) -> list[Outcome]:
        try:
            return await self._ask(member, case, tier)
        except Exception as error:
            logger.warning("%s failed: %r", member.name, error, exc_info=True)
            self._in_doubt = True
            return _failed(case, error)


def _engine(member: Member) -> Engine:
    assert isinstance(member.engine, Engine)
    return member.engine


def _part(case: Case, positions: Sequence[int]) -> Case:
    return replace(case, criteria=tuple(case.criteria[i] for i in positions))


def _level(members: Sequence[Member], case: Case, said: Sequence[Sequence[Outcome]]) -> list[Outcome]:
    """What a level says of each criterion; said: by judge, an outcome a criterion."""
    return [
        mean(
            [
                Said(member.name, own(outcomes[i], member.calibration, negative=criterion.is_negative))
                for member, outcomes in zip(members, said, strict=True)
            ],
            negative=criterion.is_negative,
        )
        for i, criterion in enumerate(case.criteria)
    ]


def _unasked(case: Case) -> list[Outcome]:
    """In place of the first level's outcomes, where the second alone is asked."""
    return [Outcome(result=Unscored(Reason.ENGINE_ERROR, "the first level was not asked"))] * len(case.criteria)


def _failed(case: Case, error: Exception) -> list[Outcome]:
    why = Unscored(Reason.ENGINE_ERROR, f"the second judge failed: {type(error).__name__}: {error}"[:500])
    return [Outcome(result=why)] * len(case.criteria)


def _check(outcomes: Sequence[Outcome], member: Member) -> None:
    result = outcomes[0].result
    if isinstance(result, Unscored):
        raise EngineError(f"the second judge, {member.name}, gives no verdict: {result.reason}: {result.detail}")
