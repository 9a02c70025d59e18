"""The whole path on one screen: a case goes in, verdicts and a reward come out.

    case -> join what is in flight -> batch -> engine -> calibrated verdicts -> reward

The judge knows no protobuf and no model. An engine is either batched here (`judger.batcher`) or batches by itself.
"""

from __future__ import annotations

import asyncio
import logging
import time

from judger.batcher import Batcher, Ran, failed
from judger.engines.base import Engine, SelfBatching, Tier
from judger.errors import EngineError, JudgeMismatch, Unsupported
from judger.inflight import InFlight
from judger.reward import reward
from judger.types import Case, Criterion, Judgement, Options, Unscored, Usage
from judger.verdict import Calibration, verdict

logger = logging.getLogger(__name__)

WARM_UP = Case(
    id="warm-up",
    query="What is the capital of France?",
    report="The capital of France is Paris. It lies on the Seine.",
    criteria=(Criterion(id="c1", text="The report names Paris as the capital of France."),),
)


class Judge:
    """Judges cases with one engine. Lives on one event loop; `close` it when done.

    Args:
        engine: owned from here on.
        calibration: instead of the engine's own; part of `judge_id`.
        max_batch_tokens, max_wait: see `Batcher`; engines that batch by themselves don't use them.
    """

    def __init__(
        self,
        engine: Engine | SelfBatching,
        *,
        calibration: Calibration | None = None,
        max_batch_tokens: int = 16_384,
        max_wait: float = 0.002,
    ) -> None:
        self.engine = engine
        self.calibration = calibration or engine.calibration
        self.judge_id = engine.identity.judge_id(self.calibration)
        self.batcher: Batcher | None = None
        self.num_in_flight = 0
        if isinstance(engine, SelfBatching):
            self._alone = engine
            self._inflight = InFlight(self._run_alone)
        else:
            self.batcher = Batcher(engine, max_batch_tokens=max_batch_tokens, max_wait=max_wait)
            self._inflight = InFlight(self.batcher.run)

    async def judge(self, case: Case, options: Options | None = None) -> Judgement:
        """Judges one case. What could not be judged is unscored in the result; only refusals are raised.

        Raises:
            Unavailable: the judge is shutting down.
        """
        options = options or Options()
        tier = Tier(explain=options.explain, explain_margin=options.explain_margin, trials=options.trials)
        self.num_in_flight += 1
        try:
            ran = await self._inflight.run(case, tier)
        finally:
            self.num_in_flight -= 1
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
            ),
        )

    def check_pin(self, judge_id: str) -> None:
        """Raises JudgeMismatch where a request pins another judge; an empty pin takes any."""
        if judge_id and judge_id != self.judge_id:
            raise JudgeMismatch(judge_id, self.judge_id)

    def check_options(self, options: Options) -> None:
        """Raises Unsupported for what this engine can't do, rather than leave it out in silence."""
        if options.explain != "never" and not self.engine.capabilities.can_explain:
            raise Unsupported(f"explain: the {self.engine.identity.engine} engine writes no rationales; use NEVER")

    async def warm_up(self) -> None:
        """Judges one small case. Raises EngineError where no verdict comes of it."""
        result = (await self.judge(WARM_UP)).verdicts[0].result
        if isinstance(result, Unscored):
            raise EngineError(f"the warm-up verdict failed: {result.reason.value}: {result.detail}")

    async def close(self) -> None:
        """Ends the batcher, then the engine."""
        if self.batcher is not None:
            await self.batcher.close()
        await asyncio.get_running_loop().run_in_executor(None, self.engine.close)

    async def _run_alone(self, case: Case, tier: Tier) -> Ran:
        started = time.perf_counter()
        try:
            outcomes = await self._alone.judge(case, tier)
        except Exception as error:
            logger.warning("a case failed: %r", error, exc_info=True)
            outcomes = failed(error, case)
        return Ran(outcomes, 0.0, time.perf_counter() - started)
