"""Decision models behind the `SelfBatching` Protocol: any endpoint of OpenAI's Decisions API or of System One.

A case is one request for its requirements and one for its flaws, more where the endpoint's limit of questions asks for
it. The official OpenAI client does the retries, with backoff and jitter, and obeys Retry-After, for both protocols.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from typing import Any

from judger.engines.again import TIMES, asked_again
from judger.engines.base import Capabilities, Identity, Outcome, Tier
from judger.engines.code import GENERATIVE, code_digest, versions
from judger.engines.decisions.formats import LIMITS, Api, Asked, Misaligned, read, spent, write
from judger.engines.endpoint import endpoint_client, told
from judger.errors import EngineError
from judger.prompt.decisions import decision_digest, decision_text, statement
from judger.prompt.fence import CHAT_MARKS, FenceKey, process_key
from judger.types import Case, Probabilities, Reason, Unscored
from judger.verdict import IDENTITY, Calibration

__all__ = ["DecisionsEngine"]

PATHS: dict[Api, str] = {"openai": "/decisions", "systemone": "/systemone"}
TOO_LONG_SIGNS = ("context_length_exceeded", "maximum context length", "context window", "too long", "max_model_len")
NO_SUCH_PATH = (404, 405)
NOT_THIS_WAY = (400, 422, 501)
"""What endpoints say to a type of question that they don't have."""
REFUSALS = (401, 403, *NO_SUCH_PATH, 501)
"""This caller, this model, or any question at all: vLLM says 501 of a model that it can't read decisions from."""


class DecisionsEngine:
    """One model at one endpoint. Lives on the event loop that first calls `judge`.

    Args:
        base_url: up to `/v1`.
        api: the protocol; None finds it out with the first request.
        scores: ask for scores of three levels, or for pairs of yes-or-no questions; None: the second where the
            endpoint refuses the first.
        min_label_mass: below it a verdict is UNPARSABLE, where the endpoint tells how much of its model's
            distribution lies on the labels.
        concurrency: requests in flight at most.
        timeout: seconds for one attempt.
        fence: by default this process's own key.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str,
        api: Api | None = None,
        api_key: str = "none",
        scores: bool | None = None,
        min_label_mass: float = 0.001,
        concurrency: int = 16,
        max_retries: int = 5,
        timeout: float = 120.0,
        calibration: Calibration = IDENTITY,
        fence: FenceKey | None = None,
    ) -> None:
        self._client = endpoint_client(base_url, api_key, max_retries=max_retries, timeout=timeout)
        self._model = model
        self._fence = fence or process_key()
        self._slots = asyncio.Semaphore(concurrency)
        self._min_label_mass = min_label_mass
        self._api = api
        self._scores = scores
        self._finding = asyncio.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.calibration = calibration
        self.capabilities = Capabilities()
        self.identity = Identity(
            engine="decisions",
            model=model.rstrip("/").rsplit("/", 1)[-1],
            engine_version=versions(),
            weights=model,
            tokenizer="remote",
            prompt=decision_digest(CHAT_MARKS.pattern),
            precision=f"remote {api} {scores}",
            endpoint=base_url.rstrip("/"),
            code=code_digest(*GENERATIVE, "engines/endpoint.py", "engines/decisions"),
            fence=self._fence.digest,
            settings=json.dumps([min_label_mass]),
        )

    async def judge(self, case: Case, tier: Tier) -> list[Outcome]:
        """One outcome per criterion. Raises EngineError where the endpoint refuses this caller or model altogether."""
        self._loop = asyncio.get_running_loop()
        if not self._is_settled:
            async with self._finding:  # one case finds out, and the others do as it did
                if not self._is_settled:
                    return await self._judge(case)
        return await self._judge(case)

    @property
    def _is_settled(self) -> bool:
        return self._api is not None and self._scores is not None

    def close(self) -> None:
        """Closes the connections. Called from another thread than the loop's."""
        if self._loop is not None and self._loop.is_running():
            asyncio.run_coroutine_threadsafe(self._client.close(), self._loop).result(10)

    async def _judge(self, case: Case) -> list[Outcome]:
        outcomes: list[Outcome | None] = [None] * len(case.criteria)

        async def one(positions: Sequence[int]) -> None:
            for position, outcome in zip(positions, await self._ask(case, positions), strict=True):
                outcomes[position] = outcome

        parts = self._parts(case)
        try:
            if not self._is_settled:
                await one(next(parts))  # alone: what it finds out cuts the rest
                parts = self._parts(case, outcomes)
            async with asyncio.TaskGroup() as group:
                for positions in parts:
                    group.create_task(one(positions))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return [outcome for outcome in outcomes if outcome is not None]

    def _parts(self, case: Case, done: Sequence[Outcome | None] = ()) -> Iterator[list[int]]:
        """Positions of the criteria of each request: of one sign, and no more than there may be."""
        limit = LIMITS[self._api] if self._api else min(LIMITS.values())
        size = limit if self._scores else limit // 2
        for negative in (False, True):
            positions = [
                i
                for i, criterion in enumerate(case.criteria)
                if criterion.is_negative is negative and not (done and done[i] is not None)
            ]
            for start in range(0, len(positions), size):
                yield positions[start : start + size]

    async def _ask(self, case: Case, positions: Sequence[int]) -> list[Outcome]:
        """The outcomes of these criteria. What has no room is asked again in halves, the short criteria first.

        One criterion that is too long would else take all others of its request with it. Where the shortest has no
        room the report itself has none: that is known after as many requests as halvings.
        """
        outcomes = await self._request(case, positions)
        if len(positions) < 2 or not all(map(_is_too_long, outcomes)):
            return outcomes
        ordered = sorted(positions, key=lambda position: len(case.criteria[position].text))
        middle = len(ordered) // 2
        found = dict(zip(ordered[:middle], await self._ask(case, ordered[:middle]), strict=True))
        if all(map(_is_too_long, found.values())):
            return outcomes
        found |= zip(ordered[middle:], await self._ask(case, ordered[middle:]), strict=True)
        return [found[position] for position in positions]

    async def _request(self, case: Case, positions: Sequence[int]) -> list[Outcome]:
        """The outcomes of these criteria, in one request; in several while it is not known what the endpoint takes."""
        text = decision_text(case, fence=self._fence)
        statements = [statement(case.criteria[position]) for position in positions]
        refused: Exception | None = None
        for scores in (True, False) if self._scores is None else (self._scores,):
            for api in PATHS if self._api is None else (self._api,):
                result = await self._try(api, Asked(text=text, statements=statements, scores=scores))
                if isinstance(result, list):
                    if any(isinstance(outcome.result, Probabilities) for outcome in result):
                        self._api, self._scores = api, scores
                    return result
                refused = result
                if _status(refused) in NOT_THIS_WAY:
                    self._api = api  # it is there
                if _status(refused) not in NO_SUCH_PATH:
                    break
            if _status(refused) not in NOT_THIS_WAY:
                break
        if _status(refused) in REFUSALS:
            raise EngineError(f"{self._model}: the endpoint refuses: {refused}"[:500]) from refused
        return _all(positions, Reason.ENGINE_ERROR, told(refused) if refused is not None else "")

    async def _try(self, api: Api, asked: Asked) -> list[Outcome] | Exception:
        """The outcomes, or the error where another way may have more luck."""
        import openai

        body = write(api, self._model, asked)

        async def once() -> Any:
            async with self._slots:
                try:
                    return await self._client.post(PATHS[api], cast_to=object, body=body)
                except RecursionError:
                    raise ValueError("the endpoint's answer is nested too deeply") from None

        try:
            reply = await asked_again(once, ValueError, min(TIMES, self._client.max_retries))  # what is no JSON
        except openai.APIStatusError as error:
            if error.status_code == 413 or any(sign in str(error).lower() for sign in TOO_LONG_SIGNS):
                return _all(asked.statements, Reason.TOO_LONG, str(error))
            return error
        except (openai.OpenAIError, ValueError) as error:
            return error
        try:
            results = read(api, reply, asked, self._min_label_mass)
        except Misaligned as error:
            return _all(asked.statements, Reason.UNPARSABLE, f"{error}: {str(reply)[:200]}")
        sent, cached = spent(reply)
        shares = zip(results, _split(sent, len(results)), _split(cached, len(results)), strict=True)
        return [Outcome(result=result, prompt_tokens=own, shared_tokens=shared) for result, own, shared in shares]


def _is_too_long(outcome: Outcome) -> bool:
    return isinstance(outcome.result, Unscored) and outcome.result.reason is Reason.TOO_LONG


def _status(error: Exception | None) -> int:
    """The status code of a refusal; 0 for what is none."""
    return int(getattr(error, "status_code", 0) or 0)


def _all(asked: Sequence[object], reason: Reason, detail: str) -> list[Outcome]:
    return [Outcome(result=Unscored(reason, detail[:500])) for _ in asked]


def _split(total: int, parts: int) -> list[int]:
    """A request's tokens over its criteria."""
    return [total // parts + (i < total % parts) for i in range(parts)]
