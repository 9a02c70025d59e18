"""The explained tier: a reason first, the verdict after it. Strict reading, checked quotes, and which criteria get one.

Reasons before verdicts: a verdict given first is merely defended by what follows. A reply has exactly the lines that
`judger/prompt/texts/answer_explain.txt` asks for; anything else is unparsable, never guessed at.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from judger.engines.base import Outcome, Tier
from judger.prompt import CUE
from judger.types import Case, Explain, Probabilities, Reason, Score, Span, Unscored
from judger.verdict import Calibration, score

__all__ = [
    "TRIAL_TEMPERATURE",
    "Explanation",
    "behind",
    "find_quote",
    "judge_in_tiers",
    "label_mass",
    "label_outcome",
    "label_probabilities",
    "mean_outcome",
    "parse_reply",
    "weighed",
]

QUOTE_SIMILARITY = 90.0
"""rapidfuzz's partial ratio (0 to 100) from which a quote counts as the report's own words."""

TRIAL_TEMPERATURE = 0.7
"""Of several trials; a single one is greedy. Greedy trials on one engine would all be the same."""

LONGEST_REASON, LONGEST_QUOTE = 600, 400
"""Characters of the two lines: a model that would never end one is held to the next."""

REASON = rf" [^\n]{{1,{LONGEST_REASON}}}\nQuote: [^\n]{{1,{LONGEST_QUOTE}}}\n"
"""What guided decoding lets a model write between `Reason:` and the verdict's cue."""
PROBE = 64
"""Characters that are looked for in linear time; a longer quote costs its length squared on top."""
MOST_SOUGHT = 1_000
"""Characters of a quote that are looked for, where it isn't in the report as it stands."""
PIECE = 2**16

REPLY = re.compile(
    r"(?:Reason:)?\s*+(?P<reason>[^\n]++)\nQuote:(?:[^\S\n]*+\n)*[^\S\n]*+(?P<quote>[^\n]*+)"
    rf"(?:\n{CUE}\s*+(?P<word>[^\n]*+))?"
)
NO_QUOTE = frozenset({"", "none", "(none)", "n/a"})


@dataclass(frozen=True, slots=True)
class Explanation:
    """A parsed reply. `label` is the index of its label word, or None where the reply stops before the verdict."""

    reason: str
    quote: str
    label: int | None


def parse_reply(text: str, words: Iterable[str] | None = None) -> Explanation | Unscored:
    """The explanation in a reply that begins at or after `Reason:`; UNPARSABLE for anything off the format.

    With `words` the verdict has to be there, and be one of them; without, the reply ends before it.
    """
    match = REPLY.fullmatch(text.strip())
    reason = "" if match is None else match["reason"].strip()
    if match is None or reason in ("", "Reason:") or (match["word"] is None) == (words is not None):
        return Unscored(Reason.UNPARSABLE, f"the reply is not reason, quote, verdict: {text[:200]!r}")
    label = None
    if words is not None:
        spoken = match["word"].removesuffix(".").strip("*`\"' ").lower()
        words = list(words)
        menu = [word.lower() for word in words]
        if spoken not in menu:
            return Unscored(Reason.UNPARSABLE, f"the verdict is not one of {', '.join(words)}: {match['word']!r}")
        label = menu.index(spoken)
    quote = match["quote"].strip().strip('"“”').strip()
    return Explanation(reason, "" if quote.lower().rstrip(".") in NO_QUOTE else quote, label)


def find_quote(report: str, quote: str) -> Span | None:
    """Where the report says what the quote says, small slips allowed; None where it doesn't."""
    if not quote:
        return None
    exact = report.find(quote)
    if exact >= 0:
        return Span(exact, exact + len(quote))
    if len(quote) < 8 or len(quote) > len(report):
        return None
    if len(quote) <= PROBE:
        return _most_alike(quote, report)
    # Where pieces of it are, and there the whole: of a passage that is like the quote, some piece is as much alike.
    quote = quote[:MOST_SOUGHT]
    reach = len(quote) // 4
    for offset in (*range(0, len(quote) - PROBE, PROBE), len(quote) - PROBE):
        if piece := _most_alike(quote[offset : offset + PROBE], report):
            start = max(0, piece.start - offset - reach)
            if whole := _most_alike(quote, report[start : piece.start - offset + len(quote) + reach]):
                return Span(start + whole.start, start + whole.end)
    return None


def _most_alike(quote: str, text: str) -> Span | None:
    """The part of a text that is most like the quote, and like enough."""
    from rapidfuzz import fuzz

    best, similarity = None, QUOTE_SIMILARITY
    # Piece by piece: one call for a long text would keep every other thread waiting.
    for start in range(0, max(1, len(text) - len(quote) + 1), PIECE):
        found = fuzz.partial_ratio_alignment(
            quote, text[start : start + PIECE + 2 * len(quote)], score_cutoff=similarity
        )
        if found is not None and (best is None or found.score > similarity):
            best, similarity = Span(start + found.dest_start, start + found.dest_end), found.score
    return best


def explained_outcome(result: Probabilities | Unscored, explanation: Explanation, report: str) -> Outcome:
    """The outcome with its rationale, and its evidence where the quote is the report's; else the rationale says so."""
    span = find_quote(report, explanation.quote)
    rationale = explanation.reason
    if explanation.quote and span is None:
        rationale += f" [unsupported quote: {explanation.quote}]"
    return Outcome(result=result, rationale=rationale, evidence=(span,) if span else ())


def label_probabilities(log_probs: Sequence[float]) -> Probabilities | Unscored:
    """The labels' share of their joint probability, from log-probabilities in the order not, partially, fully."""
    if len(log_probs) != 3 or any(math.isnan(value) or value == math.inf for value in log_probs):
        return Unscored(Reason.ENGINE_ERROR, f"the model gave no probabilities for the labels: {list(log_probs)}")
    top = max(log_probs)
    if top == -math.inf:
        return Unscored(Reason.ENGINE_ERROR, "the model rules out all three labels")
    weights = [math.exp(value - top) for value in log_probs]
    total = sum(weights)
    return Probabilities(*(weight / total for weight in weights))


def label_mass(log_probs: Sequence[float]) -> float | None:
    """How much of the distribution lies on the labels; None where these are no log-probabilities."""
    try:
        mass = math.fsum(map(math.exp, log_probs))
    except OverflowError:
        return None
    return min(mass, 1.0) if mass <= 1.001 else None  # NaN, too, is no mass


def weighed(outcome: Outcome, least: float) -> Outcome:
    """The outcome, UNPARSABLE where its labels hold less than `least` of the distribution.

    What is read off the rest would be the noise of a model that means to say something else.
    """
    mass = outcome.label_mass
    if isinstance(outcome.result, Unscored) or mass is None or mass >= least:
        return outcome
    why = f"the labels hold {mass:.2g} of the distribution, less than {least:g}: the model does not answer with them"
    return replace(outcome, result=Unscored(Reason.UNPARSABLE, why))


def label_outcome(log_probs: Sequence[float], least: float = 0.0) -> Outcome:
    """The verdict in the label tokens' log-probabilities over the whole vocabulary, in their order."""
    return weighed(Outcome(result=label_probabilities(log_probs), label_mass=label_mass(log_probs)), least)


def mean_outcome(trials: Sequence[Outcome]) -> Outcome:
    """The mean of independent trials (the paper's evaluation protocol): probabilities averaged, the first rationale.

    A trial without a verdict leaves the criterion without one: a mean over fewer trials would be another measure.
    """
    tokens = sum(outcome.prompt_tokens for outcome in trials)
    shared = sum(outcome.shared_tokens for outcome in trials)
    results = []
    for outcome in trials:
        if isinstance(outcome.result, Unscored):
            return replace(outcome, prompt_tokens=tokens, shared_tokens=shared)
        results.append(outcome.result)
    mean = Probabilities(
        sum(p.p_not for p in results) / len(results),
        sum(p.p_partial for p in results) / len(results),
        sum(p.p_full for p in results) / len(results),
    )
    masses = [outcome.label_mass for outcome in trials if outcome.label_mass is not None]
    return replace(
        trials[0],
        result=mean,
        prompt_tokens=tokens,
        shared_tokens=shared,
        label_mass=sum(masses) / len(masses) if masses else None,
    )


async def judge_in_tiers(
    case: Case,
    tier: Tier,
    *,
    read: Callable[[int], Awaitable[Outcome]],
    explain: Callable[[int, int], Awaitable[Outcome]],
    lead: bool = False,
) -> list[Outcome]:
    """One outcome per criterion: `read(index)` for a plain verdict, `explain(index, trial)` for an explained one.

    With `lead` the first goes ahead, so that the others find the prefix in the cache. UNDER_MARGIN explains the
    criteria whose plain verdict is near its threshold, and the explained verdict then stands. The first exception of
    any call cancels the others and is raised.
    """

    async def explained(index: int) -> Outcome:
        return mean_outcome(
            await together([partial(explain, index, trial) for trial in range(max(1, tier.trials))], False)
        )

    everything = range(len(case.criteria))
    if tier.explain is Explain.ALWAYS:
        return await together([partial(explained, index) for index in everything], lead)
    outcomes = await together([partial(read, index) for index in everything], lead)
    if tier.explain is Explain.UNDER_MARGIN:
        close = [
            index
            for index in everything
            if is_close(outcomes[index], case.criteria[index].is_negative, tier.explain_margin, tier.calibration)
        ]
        for index, outcome in zip(
            close, await together([partial(explained, index) for index in close], lead), strict=True
        ):
            outcomes[index] = behind(outcomes[index], outcome)
    return outcomes


def behind(plain: Outcome, explained: Outcome) -> Outcome:
    """The explained outcome, which stands, with the tokens of the plain one that it was asked for after."""
    return replace(
        explained,
        prompt_tokens=plain.prompt_tokens + explained.prompt_tokens,
        shared_tokens=plain.shared_tokens + explained.shared_tokens,
    )


def is_close(outcome: Outcome, negative: bool, margin: float, calibration: Calibration) -> bool:
    """Whether a plain verdict lies within `margin` of its threshold."""
    if isinstance(outcome.result, Unscored):
        return False
    scored = score(outcome.result, negative=negative, calibration=calibration)
    return isinstance(scored, Score) and scored.margin < margin


async def together(calls: Sequence[Callable[[], Awaitable[Outcome]]], lead: bool) -> list[Outcome]:
    """All results in order; the first exception cancels the rest and is raised as it is."""
    if lead and calls:
        return [await calls[0](), *await together(calls[1:], False)]

    async def begin(call: Callable[[], Awaitable[Outcome]]) -> Outcome:
        return await call()

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(begin(call)) for call in calls]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]
