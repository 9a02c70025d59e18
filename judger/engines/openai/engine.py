"""Any OpenAI-compatible endpoint behind the `SelfBatching` Protocol: for a strong teacher, or a judge served elsewhere.

One chat request per criterion, with the prompt's own text. Where the endpoint gives log-probabilities, those of the
label word are the verdict's; where it doesn't, the label comes as structured output and counts as certain. The
official client does the retries, with backoff and jitter, and obeys Retry-After.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from judger import prompt
from judger.config import Reading, Way
from judger.engines.again import TIMES, asked_again
from judger.engines.base import Capabilities, Identity, Outcome, Tier
from judger.engines.code import GENERATIVE, code_digest, versions
from judger.engines.endpoint import endpoint_client, told
from judger.engines.explained import TRIAL_TEMPERATURE, judge_in_tiers, weighed
from judger.engines.openai.reply import Completion, NoCompletion, NoJson, read_completion, read_reply, whole
from judger.engines.openai.request import Ask, request, ways
from judger.errors import EngineError
from judger.prompt import LabelWords, PairWords
from judger.prompt.fence import CHAT_MARKS, FenceKey, process_key
from judger.types import Case, Reason, Unscored
from judger.verdict import IDENTITY, Calibration

__all__ = ["OpenAIEngine"]

WORDS = LabelWords()
PAIR_WORDS = PairWords()
TOO_LONG_SIGNS = ("context_length_exceeded", "maximum context length", "context window")


class OpenAIEngine:
    """One model at one endpoint. Lives on the event loop that first calls `judge`."""

    def __init__(
        self,
        model: str,
        *,
        base_url: str,
        api_key: str = "none",
        concurrency: int = 16,
        max_retries: int = 5,
        timeout: float = 120.0,
        reading: Reading = "auto",
        reason_tokens: int = 512,
        trial_temperature: float = TRIAL_TEMPERATURE,
        min_label_mass: float = 0.0,
        calibration: Calibration = IDENTITY,
        extra_body: Mapping[str, Any] | None = None,
        fence: FenceKey | None = None,
    ) -> None:
        """`concurrency`: requests in flight at most. `timeout`: seconds for one attempt. `reading`: how verdicts come,
        see `request`; `auto` begins with free text and goes on to the next way where that gives no verdict.
        `reason_tokens`: budget of a written reason. `min_label_mass`: below it a verdict is UNPARSABLE. `extra_body`:
        fields of the endpoint's own, such as a switch for thinking. `fence`: by default this process's own key."""
        self._client = endpoint_client(base_url, api_key, max_retries=max_retries, timeout=timeout)
        self._model = model
        self._fence = fence or process_key()
        self._slots = asyncio.Semaphore(concurrency)
        self._reading = reading
        self._ways = ways(reading)
        self._best: dict[bool, Way | None] = {False: None, True: None}
        """The first way that worked, of plain verdicts and of explained ones."""
        self._has_logprobs = reading != "structured"
        self._seen_logprobs = False
        self._min_label_mass = min_label_mass
        self._reason_tokens = reason_tokens
        self._trial_temperature = trial_temperature
        self._extra_body = dict(extra_body or {})
        self._loop: asyncio.AbstractEventLoop | None = None
        self.prompt_tokens = 0
        """Tokens sent so far, as the endpoint counts them."""
        self.completion_tokens = 0
        """Tokens received so far."""
        self.calibration = calibration
        self.capabilities = Capabilities(can_explain=True, can_compare=True)
        self.identity = Identity(
            engine="openai",
            model=model.rstrip("/").rsplit("/", 1)[-1],
            engine_version=versions(),
            weights=model,
            tokenizer="remote",
            prompt=prompt.digest(*WORDS, *PAIR_WORDS, CHAT_MARKS.pattern),
            precision=f"remote {reading}",
            endpoint=base_url.rstrip("/"),
            code=code_digest(*GENERATIVE, "engines/endpoint.py", "engines/openai"),
            fence=self._fence.digest,
            settings=json.dumps([reason_tokens, trial_temperature, min_label_mass, self._extra_body], sort_keys=True),
        )

    async def judge(self, case: Case, tier: Tier) -> list[Outcome]:
        """One outcome per criterion. Raises EngineError where the endpoint refuses this caller or model altogether."""
        self._loop = asyncio.get_running_loop()
        if tier.is_pairwise:
            text = prompt.pair_text(case, PAIR_WORDS, fence=self._fence)
        else:
            text = prompt.prompt_text(case, WORDS, fence=self._fence)
        explained = (
            prompt.prompt_text(case, WORDS, fence=self._fence, explain=True) if tier.explain != "never" else text
        )
        return await judge_in_tiers(
            case,
            tier,
            read=lambda index: self._ask(case, Ask(text=text, index=index, explain=False, trials=1, trial=0)),
            explain=lambda index, trial: self._ask(
                case, Ask(text=explained, index=index, explain=True, trials=tier.trials, trial=trial)
            ),
        )

    def close(self) -> None:
        """Closes the connections. Called from another thread than the loop's."""
        if self._loop is not None and self._loop.is_running():
            asyncio.run_coroutine_threadsafe(self._client.close(), self._loop).result(10)

    async def _ask(self, case: Case, ask: Ask) -> Outcome:
        """One criterion's verdict, in the first of the ways that gives one.

        A way that works where none has worked before is taken first from then on; one that has worked is left only for
        the criterion that it fails on.
        """
        first: Outcome | None = None
        best = self._best[ask.explain]
        for way in self._ways if best is None else self._ways[self._ways.index(best) :]:
            if way != "structured" and not self._has_logprobs and self._reading == "auto" and not ask.explain:
                continue  # without them a free word is no surer than an object, and is read less surely
            outcome = await self._try(case, ask, way)
            if outcome is None:
                continue
            if not isinstance(outcome.result, Unscored):
                self._best[ask.explain] = self._best[ask.explain] or way
                return weighed(outcome, self._min_label_mass)
            if outcome.result.reason is not Reason.UNPARSABLE:
                return outcome
            first = first or outcome
        return first or unscored("the endpoint takes none of the ways to ask it")

    async def _try(self, case: Case, ask: Ask, way: Way) -> Outcome | None:
        """The outcome of one request; None where the endpoint doesn't know this way to ask, and there is another.

        Whatever the endpoint answers is this criterion's alone. Raises EngineError where it refuses altogether.
        """
        import openai

        is_last = way == self._ways[-1]
        is_auto = self._reading == "auto"
        made = request(
            self._model,
            ask,
            way,
            reason_tokens=self._reason_tokens,
            trial_temperature=self._trial_temperature,
            logprobs=self._has_logprobs,
            extra=self._extra_body,
        )

        async def once() -> Completion:
            async with self._slots:
                response = await self._client.chat.completions.with_raw_response.create(**made)
            return read_completion(response.content)

        try:
            found = await asked_again(once, NoJson, min(TIMES, self._client.max_retries))
        except (openai.AuthenticationError, openai.PermissionDeniedError, openai.NotFoundError) as error:
            raise EngineError(f"{self._model}: the endpoint refuses: {error}") from error
        except openai.BadRequestError as error:
            if any(sign in str(error) for sign in TOO_LONG_SIGNS):
                return unscored(str(error), Reason.TOO_LONG)
            if is_auto and "logprobs" in made and "logprobs" in str(error):
                self._has_logprobs = False
                return await self._try(case, ask, way) if is_last or ask.explain else None
            return None if way == "choice" and not is_last else unscored(str(error))
        except openai.OpenAIError as error:
            return unscored(told(error))
        except NoCompletion as error:
            return unscored(str(error))
        self.prompt_tokens += found.sent
        self.completion_tokens += found.received
        if is_auto and "logprobs" in made and not found.tokens:
            # One reply without them, among others that had some, says nothing of the endpoint.
            self._has_logprobs = self._has_logprobs and self._seen_logprobs
            if not ask.explain and not is_last:
                return None
        self._seen_logprobs = self._seen_logprobs or bool(found.tokens)
        outcome = read_reply(case, ask.text.words, found, explain=ask.explain, way=way)
        return replace(outcome, prompt_tokens=found.sent, shared_tokens=found.cached)


def unscored(detail: str, reason: Reason = Reason.ENGINE_ERROR) -> Outcome:
    """An outcome without a verdict, and why."""
    return Outcome(result=Unscored(reason, whole(detail)[:500]))
