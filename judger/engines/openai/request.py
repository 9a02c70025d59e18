"""What is sent for one criterion, in each of the ways to get a label from an endpoint.

logprobs     free text; the label word's log-probabilities are the verdict
choice       the same, held to the labels by vLLM's `structured_outputs`: for models that would say more
structured   held to a JSON schema, which most endpoints know
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from judger import prompt
from judger.config import Reading, Way
from judger.engines.explained import REASON, TRIAL_TEMPERATURE
from judger.prompt import CUE, LabelWords, PairWords, PromptText

__all__ = ["TOP_LOGPROBS", "Ask", "request", "ways"]

TOP_LOGPROBS = 20
"""The most that the protocol allows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One question: a criterion of a prompt, and how its answer is to come."""

    text: PromptText
    index: int
    explain: bool
    trials: int
    trial: int


def ways(reading: Reading) -> tuple[Way, ...]:
    """The ways that a reading may take, in the order in which they are tried."""
    return ("logprobs", "choice", "structured") if reading == "auto" else (reading,)


def request(
    model: str,
    ask: Ask,
    way: Way,
    *,
    reason_tokens: int,
    logprobs: bool,
    extra: Mapping[str, Any],
    trial_temperature: float = TRIAL_TEMPERATURE,
) -> dict[str, Any]:
    """The arguments of one chat completion. `extra`: fields of the endpoint's own, beside ours."""
    made: dict[str, Any] = {
        "model": model,
        "messages": prompt.messages(ask.text, ask.index),
        "max_tokens": reason_tokens if ask.explain else 64 if way == "structured" else 16,
        "temperature": trial_temperature if ask.trials > 1 else 0.0,
    }
    if ask.trials > 1:
        made["seed"] = ask.trial
    if logprobs:
        made |= {"logprobs": True, "top_logprobs": TOP_LOGPROBS}
    body = dict(extra)
    if way == "choice":
        body["structured_outputs"] = grammar(ask.text.words, explain=ask.explain)
    elif way == "structured":
        schema = json_schema(ask.text.words, explain=ask.explain)
        made["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "verdict", "strict": True, "schema": schema},
        }
    if body:
        made["extra_body"] = body
    return made


def grammar(words: LabelWords | PairWords, *, explain: bool) -> dict[str, Any]:
    """vLLM's constraint: one of the words, or the three lines of an explained reply."""
    if not explain:
        return {"choice": list(words)}
    return {"regex": f"Reason:{REASON}{CUE} ({'|'.join(map(re.escape, words))})"}


def json_schema(words: LabelWords | PairWords, *, explain: bool) -> dict[str, Any]:
    """The reply as an object: the verdict, with `explain` behind reason and quote."""
    fields: dict[str, Any] = {"reason": {"type": "string"}, "quote": {"type": "string"}} if explain else {}
    fields["verdict"] = {"type": "string", "enum": list(words)}
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}
