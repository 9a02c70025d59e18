"""The two protocols of decision endpoints, as an engine writes and reads them. Pure.

    openai      POST /decisions: questions in a list, answers in its order (`client.decisions` of the `openai` package)
    systemone   POST /systemone: questions and answers under ids (Jev, vLLM and others)

A criterion is a score of three levels, or two yes-or-no questions: fully satisfied, at least partially satisfied.
Nothing is guessed: an answer of another type, with other levels or with no distribution is UNPARSABLE.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeGuard

from judger.prompt.decisions import DecisionText, Statement
from judger.types import Probabilities, Reason, Unscored

__all__ = ["LIMITS", "Api", "Asked", "Misaligned", "read", "spent", "write"]

Api = Literal["openai", "systemone"]

LIMITS: Mapping[Api, int] = {"openai": 400, "systemone": 64}
"""Questions of one request: OpenAI's own limit, and vLLM's."""
LEVELS = ("not satisfied", "partially satisfied", "fully satisfied")
ROUNDING = 0.02
"""How far probabilities may be from summing to 1: endpoints round them. They are scaled."""


class Misaligned(ValueError):
    """The reply as a whole can't be matched with the questions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The criteria of one request."""

    text: DecisionText
    statements: Sequence[Statement]
    scores: bool
    """Scores of three levels; else pairs of yes-or-no questions."""

    @property
    def names(self) -> list[str]:
        """A name for each question."""
        if self.scores:
            return [f"c{i}" for i in range(len(self.statements))]
        return [f"c{i}_{side}" for i in range(len(self.statements)) for side in ("full", "partial")]


def write(api: Api, model: str, asked: Asked) -> dict[str, Any]:
    """The body of a request."""
    text = asked.text
    if api == "openai":
        messages = [{"role": "developer", "content": text.system}, {"role": "user", "content": text.state}]
        questions = [{"name": name, **question} for name, question in zip(asked.names, _openai(asked), strict=True)]
        return {"model": model, "input": messages, "questions": questions}
    named = dict(zip(asked.names, _system_one(asked), strict=True))
    return {"model": model, "state": f"{text.system}\n\n{text.state}", "questions": named}


def _openai(asked: Asked) -> list[dict[str, Any]]:
    if asked.scores:
        return [
            {
                "type": "score",
                "instructions": one.instructions,
                "levels": [
                    {"label": label, "description": level} for label, level in zip(LEVELS, one.levels, strict=True)
                ],
            }
            for one in asked.statements
        ]
    return [
        {"type": "predicate", "instructions": f"{one.instructions}\nTrue: {true}\nFalse: {false}"}
        for one in asked.statements
        for true, false in (one.fully, one.at_least_partially)
    ]


def _system_one(asked: Asked) -> list[dict[str, Any]]:
    if asked.scores:
        return [
            {"type": "score", "instructions": one.instructions, "criteria": list(one.levels)}
            for one in asked.statements
        ]
    return [
        {"type": "noul", "instructions": one.instructions, "criteria": {"true": true, "false": false}}
        for one in asked.statements
        for true, false in (one.fully, one.at_least_partially)
    ]


def read(api: Api, reply: object, asked: Asked, min_label_mass: float) -> list[Probabilities | Unscored]:
    """A result for each criterion. Raises Misaligned where the reply doesn't answer these questions."""
    if not isinstance(reply, dict):
        raise Misaligned("the reply is no JSON object")
    given = reply.get("answers")
    names = asked.names
    if api == "openai":
        if not isinstance(given, list) or len(given) != len(names):
            raise Misaligned(f"{len(names)} questions were asked, and the reply has other answers")
        answers = given
        for name, answer in zip(names, answers, strict=True):
            if isinstance(answer, dict) and answer.get("name") not in (name, None):
                raise Misaligned(f"the answer to {name} is named {str(answer['name'])[:60]!r}")
        masses: Any = {}
    else:
        if not isinstance(given, dict):
            raise Misaligned("the reply has no answers by id")
        answers = [given.get(name) for name in names]
        masses = reply.get("diagnostics")
    found: list[Probabilities | Unscored] = []
    step = 1 if asked.scores else 2
    for start in range(0, len(names), step):
        few = _too_few(masses, names[start : start + step], min_label_mass)
        if few is not None:
            found.append(few)
        elif asked.scores:
            found.append(_levels(answers[start]))
        else:
            found.append(_pair(*(_yes(answer) for answer in answers[start : start + 2])))
    return found


def _too_few(masses: object, names: Sequence[str], least: float) -> Unscored | None:
    """Unscored where an endpoint that tells says that its model didn't speak in labels."""
    if not isinstance(masses, dict):
        return None
    for name in names:
        entry = masses.get(name)
        mass = entry.get("label_mass") if isinstance(entry, dict) else None
        if _is_number(mass) and not mass >= least:
            return Unscored(Reason.UNPARSABLE, f"only {mass:.2g} of the model's distribution lies on the labels")
    return None


def _levels(answer: object) -> Probabilities | Unscored:
    """Of a score, whose probabilities are a list with values or an object with indices."""
    if not isinstance(answer, dict) or answer.get("type") != "score":
        return _other(answer)
    shares = answer.get("probabilities")
    if isinstance(shares, list):
        values = [one.get("value") for one in shares if isinstance(one, dict)]
        if sorted(values, key=str) != [0, 1, 2]:
            return _other(answer)
        shares = {str(one["value"]): one.get("probability") for one in shares}
    if not isinstance(shares, dict) or shares.keys() != {"0", "1", "2"}:
        return _other(answer)
    low, middle, high = (shares[key] for key in ("0", "1", "2"))
    if not all(_is_number(p) and -1e-6 <= p <= 1 + 1e-6 for p in (low, middle, high)):
        return _other(answer)
    low, middle, high = (max(0.0, p) for p in (low, middle, high))
    total = low + middle + high
    if abs(total - 1) > ROUNDING:
        return Unscored(Reason.UNPARSABLE, f"the probabilities sum to {total:.4g}")
    return Probabilities(low / total, middle / total, high / total)


def _yes(answer: object) -> float | Unscored:
    """P(yes) of a predicate or a noul."""
    if isinstance(answer, dict) and answer.get("type") in ("predicate", "noul"):
        p = answer.get("probability" if answer["type"] == "predicate" else "noul")
        if _is_number(p) and -1e-6 <= p <= 1 + 1e-6:
            return float(min(1.0, max(0.0, p)))
    return _other(answer)


def _pair(full: float | Unscored, partial: float | Unscored) -> Probabilities | Unscored:
    """From P(fully) and P(at least partially), which were asked apart and may contradict each other.

    Where the first is larger, both become their mean: the nearest pair that doesn't (isotonic regression).
    """
    if isinstance(full, Unscored):
        return full
    if isinstance(partial, Unscored):
        return partial
    if full > partial:
        full = partial = (full + partial) / 2
    return Probabilities(1 - partial, partial - full, full)


def _other(answer: object) -> Unscored:
    """Why an answer is none."""
    if isinstance(answer, dict) and answer.get("type") == "refusal":
        said = answer.get("detail") or answer.get("reason")
        return Unscored(Reason.UNPARSABLE, f"the endpoint refuses this question{f': {said}' if said else ''}"[:500])
    return Unscored(Reason.UNPARSABLE, f"not an answer to what was asked: {str(answer)[:200]}")


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def spent(reply: object) -> tuple[int, int]:
    """(tokens sent, those of them from the endpoint's cache), as far as the reply says."""
    usage = reply.get("usage") if isinstance(reply, dict) else None
    if not isinstance(usage, dict):
        return 0, 0
    details = usage.get("input_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    return _count(usage.get("input_tokens")), _count(cached)


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31 else 0
