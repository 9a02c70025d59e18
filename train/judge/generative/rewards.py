"""Rewards that can be verified without another model, each reported apart: label, format, quote.

They read a completion as the served engine would: strictly. A completion is what stands behind the prompt, up to the
end of the turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from judger.engines.explained import Explanation, find_quote, parse_reply
from judger.prompt import LabelWords
from train.judge.generative.data import Tier

WEIGHTS = {"label_match": 1.0, "format": 0.2, "quote_support": 0.2}
"""The label outweighs both others together, so that no form pays for a wrong verdict."""
SHORTEST_QUOTE = 8
"""Characters: a word or two are in every report."""

Reward = Callable[..., list[float | None]]


def read(completion: str, tier: Tier, words: LabelWords) -> Explanation | None:
    """The completion's verdict with its reason, None off the format. A verdict-tier answer has no reason."""
    if tier == "verdict":
        menu = list(words)
        word = completion.strip()
        return Explanation("", "", menu.index(word)) if word in menu else None
    found = parse_reply(completion, words)
    return found if isinstance(found, Explanation) else None


def rewards(words: LabelWords) -> list[Reward]:
    """The reward functions in the order of `WEIGHTS`, as TRL calls them, one value a completion."""

    def label_match(
        completions: Sequence[str], tier: Sequence[Tier], label: Sequence[int], **others: Any
    ) -> list[float | None]:
        """1 for the right label, else 0."""
        answers = [read(text, kind, words) for text, kind in zip(completions, tier, strict=True)]
        return [
            float(answer is not None and answer.label == right) for answer, right in zip(answers, label, strict=True)
        ]

    def format(completions: Sequence[str], tier: Sequence[Tier], **others: Any) -> list[float | None]:
        """1 for exactly the form that is asked for, else 0."""
        return [float(read(text, kind, words) is not None) for text, kind in zip(completions, tier, strict=True)]

    def quote_support(
        completions: Sequence[str], tier: Sequence[Tier], report: Sequence[str], **others: Any
    ) -> list[float | None]:
        """1 for a quote that is the report's, or for none where the verdict says that there is nothing; else 0."""
        return [
            None if kind == "verdict" else float(is_supported(read(text, kind, words), document))
            for text, kind, document in zip(completions, tier, report, strict=True)
        ]

    return [label_match, format, quote_support]


def is_supported(answer: Explanation | None, report: str) -> bool:
    """Whether the answer rests on the report's own words, as far as it needs any."""
    if answer is None:
        return False
    if not answer.quote:
        return answer.label == 0
    return len(answer.quote) >= SHORTEST_QUOTE and find_quote(report, answer.quote) is not None
