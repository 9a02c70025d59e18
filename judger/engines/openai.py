"""Any OpenAI-compatible endpoint behind the `SelfBatching` Protocol: for a strong teacher, or a judge served elsewhere.

One chat request per criterion, with the prompt's own text. Where the endpoint gives log-probabilities, those of the
label word are the verdict's; where it doesn't, the label comes as structured output and counts as certain. The
official client does the retries, with backoff and jitter, and obeys Retry-After.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any, Literal

from judger import prompt
from judger.engines.base import Capabilities, Identity, Outcome, Tier
from judger.engines.explained import TRIAL_TEMPERATURE, explained_outcome, judge_in_tiers, parse_reply
from judger.errors import EngineError
from judger.prompt import CUE, LabelWords, PairWords, PromptText
from judger.prompt.fence import CHAT_MARKS, FenceKey, process_key
from judger.types import Case, Probabilities, Reason, Unscored
from judger.verdict import IDENTITY, Calibration
from judger.version import __version__

__all__ = ["OpenAIEngine"]

WORDS = LabelWords()
PAIR_WORDS = PairWords()
TOP_LOGPROBS = 20
TOO_LONG_SIGNS = ("context_length_exceeded", "maximum context length", "context window")
CERTAIN = (Probabilities(1.0, 0.0, 0.0), Probabilities(0.0, 1.0, 0.0), Probabilities(0.0, 0.0, 1.0))


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
        reading: Literal["auto", "logprobs", "structured"] = "auto",
        reason_tokens: int = 512,
        calibration: Calibration = IDENTITY,
        extra_body: Mapping[str, Any] | None = None,
        fence: FenceKey | None = None,
    ) -> None:
        """`concurrency`: requests in flight at most. `timeout`: seconds for one attempt. `reading`: how verdicts come;
        `auto` begins with log-probabilities and falls back for good when the endpoint has none. `reason_tokens`:
        budget of a written reason. `extra_body`: fields of the endpoint's own, such as a switch for thinking. `fence`:
        by default this process's own key."""
        from openai import AsyncOpenAI

        self._client = AsyncOpenAI(base_url=base_url, api_key=api_key, max_retries=max_retries, timeout=timeout)
        self._model = model
        self._fence = fence or process_key()
        self._slots = asyncio.Semaphore(concurrency)
        self._auto = reading == "auto"
        self._has_logprobs = reading != "structured"
        self._reason_tokens = reason_tokens
        self._extra_body = dict(extra_body or {})
        self._loop: asyncio.AbstractEventLoop | None = None
        self.prompt_tokens = 0
        """Tokens sent so far, as the endpoint counts them."""
        self.completion_tokens = 0
        """Tokens received so far."""
        self.calibration = calibration
        self.capabilities = Capabilities(can_explain=True, can_compare=True)
        extra = json.dumps(self._extra_body, sort_keys=True)
        self.identity = Identity(
            engine="openai",
            model=model.rstrip("/").rsplit("/", 1)[-1],
            engine_version=__version__,
            weights=model,
            tokenizer="remote",
            prompt=prompt.digest(*WORDS, *PAIR_WORDS, extra, CHAT_MARKS.pattern, self._fence.digest),
            precision=f"remote {reading}",
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
            read=lambda index: self._ask(case, text, index, explain=False, trials=1, trial=0),
            explain=lambda index, trial: self._ask(
                case, explained, index, explain=True, trials=tier.trials, trial=trial
            ),
        )

    def close(self) -> None:
        """Closes the connections. Called from another thread than the loop's."""
        if self._loop is not None and self._loop.is_running():
            asyncio.run_coroutine_threadsafe(self._client.close(), self._loop).result(10)

    async def _ask(
        self, case: Case, text: PromptText, index: int, *, explain: bool, trials: int, trial: int
    ) -> Outcome:
        """One criterion's verdict, asked for in one request (two where log-probabilities turn out to be missing)."""
        import openai

        structured = not self._has_logprobs
        try:
            async with self._slots:
                reply = await self._client.chat.completions.create(
                    **self._request(text, index, explain, structured, trials, trial)
                )
        except (openai.AuthenticationError, openai.PermissionDeniedError, openai.NotFoundError) as error:
            raise EngineError(f"{self._model}: the endpoint refuses: {error}") from error
        except openai.BadRequestError as error:
            if any(sign in str(error) for sign in TOO_LONG_SIGNS):
                return Outcome(result=Unscored(Reason.TOO_LONG, str(error)[:500]))
            if structured or not self._auto or "logprobs" not in str(error):
                return Outcome(result=Unscored(Reason.ENGINE_ERROR, str(error)[:500]))
            self._has_logprobs = False
            return await self._ask(case, text, index, explain=explain, trials=trials, trial=trial)
        except openai.OpenAIError as error:
            return Outcome(result=Unscored(Reason.ENGINE_ERROR, f"{type(error).__name__}: {error}"[:500]))
        usage = reply.usage
        cached = getattr(getattr(usage, "prompt_tokens_details", None), "cached_tokens", None) or 0
        sent = usage.prompt_tokens if usage else 0
        self.prompt_tokens += sent
        self.completion_tokens += usage.completion_tokens if usage else 0
        choice = reply.choices[0]
        answer = choice.message.content or ""
        tokens = choice.logprobs.content if choice.logprobs is not None else None
        if not structured and not tokens and self._auto:
            self._has_logprobs = False
            if not explain:
                return await self._ask(case, text, index, explain=explain, trials=trials, trial=trial)
        outcome = read_reply(case, text.words, answer, tokens, explain=explain, structured=structured)
        return Outcome(
            result=outcome.result,
            rationale=outcome.rationale,
            evidence=outcome.evidence,
            prompt_tokens=sent,
            shared_tokens=cached,
        )

    def _request(
        self, text: PromptText, index: int, explain: bool, structured: bool, trials: int, trial: int
    ) -> dict[str, Any]:
        request: dict[str, Any] = {
            "model": self._model,
            "messages": prompt.messages(text, index),
            "max_tokens": self._reason_tokens if explain else 64 if structured else 16,
            "temperature": TRIAL_TEMPERATURE if trials > 1 else 0.0,
        }
        if trials > 1:
            request["seed"] = trial
        if not structured:
            request |= {"logprobs": True, "top_logprobs": TOP_LOGPROBS}
        elif not explain:
            schema = {
                "type": "object",
                "properties": {"verdict": {"type": "string", "enum": list(text.words)}},
                "required": ["verdict"],
                "additionalProperties": False,
            }
            request["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "verdict", "strict": True, "schema": schema},
            }
        if self._extra_body:
            request["extra_body"] = self._extra_body
        return request


def read_reply(
    case: Case,
    words: LabelWords | PairWords,
    answer: str,
    tokens: Sequence[Any] | None,
    *,
    explain: bool,
    structured: bool,
) -> Outcome:
    """The outcome in a reply. Only a reply of exactly the asked form counts; the rest is UNPARSABLE."""
    if explain:
        explanation = parse_reply(answer, WORDS)
        if isinstance(explanation, Unscored):
            return Outcome(result=explanation)
        assert explanation.label is not None
        result = label_mass(explanation.label, tokens, list(WORDS))
        return explained_outcome(result, explanation, case.report)
    word = answer.strip()
    if structured:
        try:
            word = str(json.loads(word)["verdict"])
        except (ValueError, KeyError, TypeError, RecursionError):
            return Outcome(result=Unscored(Reason.UNPARSABLE, f"not the JSON asked for: {answer[:200]!r}"))
    word = word.removeprefix(CUE).strip().strip("*`\"'").rstrip(".").lower()
    menu = list(words)
    if word not in menu:
        return Outcome(result=Unscored(Reason.UNPARSABLE, f"not one of {', '.join(menu)}: {answer[:200]!r}"))
    return Outcome(result=label_mass(menu.index(word), tokens, menu))


def label_mass(label: int, tokens: Sequence[Any] | None, menu: Sequence[str]) -> Probabilities | Unscored:
    """Probabilities of the labels where the answer's label word begins, certain without log-probabilities.

    A token stands for a label when it begins that label's word ("part", " Fully"); the three words begin differently.
    The word is looked for in the tokens' own bytes: a token may be a part of a character, and the answer's text leaves
    out whatever the endpoint strips from it.
    """
    if not tokens:
        return CERTAIN[label]
    pieces = [spelled(token) for token in tokens]
    place = b"".join(pieces).lower().rfind(menu[label].encode())
    found: list[tuple[int, float]] = []  # (label, log-probability)
    if place >= 0:
        ends = accumulate(len(piece) for piece in pieces)
        token = next(token for token, end in zip(tokens, ends, strict=True) if end > place)
        for candidate in token.top_logprobs:
            start = candidate.token.strip().lower()
            found += [(i, candidate.logprob) for i, word in enumerate(menu) if start and word.startswith(start)]
    top = max((logprob for _, logprob in found), default=-math.inf)
    if not math.isfinite(top) or any(math.isnan(logprob) for _, logprob in found):
        return Unscored(Reason.ENGINE_ERROR, "the endpoint's log-probabilities hold no label")
    mass = [0.0, 0.0, 0.0]
    for index, logprob in found:
        mass[index] += math.exp(logprob - top)  # relative, or endpoints that send scores instead would overflow
    total = sum(mass)
    return Probabilities(*(value / total for value in mass))


def spelled(token: Any) -> bytes:
    """A token's bytes; where the endpoint sends none, those of its text."""
    try:
        return bytes(token.bytes)
    except (AttributeError, TypeError, ValueError):
        return str(token.token).encode(errors="replace")
