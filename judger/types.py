"""The nouns of the service, as frozen values. Imports nothing of ours.

A case is a query, a report and a rubric (ordered criteria). A judge answers every criterion with a verdict: a score
(three probabilities and the label they give) or unscored (a typed reason why there is none, never a zero). Verdicts
become a reward. Names follow the Step-DeepResearch report (arXiv 2512.20491, section 4.3.2).
"""

from __future__ import annotations

import dataclasses
import enum
import math
from dataclasses import dataclass, field, replace
from typing import Any


class Label(enum.StrEnum):
    """The ternary verdict. Of a negative criterion, "satisfied" means that the flaw is present."""

    NOT_SATISFIED = "not_satisfied"
    PARTIALLY_SATISFIED = "partially_satisfied"
    FULLY_SATISFIED = "fully_satisfied"


class Role(enum.StrEnum):
    """Where a criterion comes from: stated in the query, a bonus, or a flaw."""

    EXPLICIT = "explicit"
    IMPLICIT = "implicit"
    NEGATIVE = "negative"


class Mapping(enum.StrEnum):
    """How a verdict becomes a number in [0, 1] (`judger.reward`)."""

    STRICT = "strict"
    TERNARY = "ternary"
    EXPECTED = "expected"


class Explain(enum.StrEnum):
    """Which criteria get a written reason before their verdict."""

    NEVER = "never"
    UNDER_MARGIN = "under_margin"
    ALWAYS = "always"


class Lane(enum.StrEnum):
    """Whose work it is; the lanes share the engine by weight."""

    TRAINING = "training"
    EVALUATION = "evaluation"
    BULK = "bulk"


class Reason(enum.StrEnum):
    """Why a criterion has no verdict."""

    TOO_LONG = "too_long"
    UNPARSABLE = "unparsable"
    DEADLINE = "deadline"
    UNSUPPORTED_LANGUAGE = "unsupported_language"
    ENGINE_ERROR = "engine_error"
    NOT_JUDGEABLE = "not_judgeable"
    """Nothing that could be judged: a blank report, or a criterion of a kind that this judge is near chance on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One checkable statement with a signed weight. A negative weight makes it a flaw."""

    id: str
    text: str
    weight: float = 1.0
    role: Role = Role.EXPLICIT
    axis: str = ""
    fatal: bool = False
    label: Label | None = None
    """The human verdict, in labelled files only."""

    @property
    def is_negative(self) -> bool:
        return self.weight < 0 or (self.is_monitor and self.role is Role.NEGATIVE)

    @property
    def is_monitor(self) -> bool:
        """Weighs nothing: judged and shown, and no part of any reward. Callers' own; no server takes one."""
        return self.weight == 0

    def weighed(self) -> Criterion:
        """As a server takes it, and a file of labels: a monitor weighs 1, or -1 where it is a flaw."""
        return replace(self, weight=-1.0 if self.is_negative else 1.0) if self.is_monitor else self


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A query, one report and its rubric."""

    id: str
    query: str
    report: str
    criteria: tuple[Criterion, ...]
    language: str = ""
    """BCP 47 tag, where the caller knows it."""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """Characters `report[start:end]`."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Probabilities:
    """P(not), P(partially), P(fully), as the engine gives them: finite, non-negative, summing to 1."""

    p_not: float
    p_partial: float
    p_full: float


@dataclass(frozen=True, slots=True)
class Unscored:
    """No valid verdict, and why. Never a zero."""

    reason: Reason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Score:
    """Calibrated probabilities, the label they give, the strict bit, and P(satisfied)'s distance from its threshold."""

    label: Label
    p_not: float
    p_partial: float
    p_full: float
    satisfied: bool
    margin: float

    def credit(self, mapping: Mapping, *, negative: bool) -> float:
        """b_i in [0, 1] (`judger.reward`): how much of its weight a criterion earns, or a flaw costs."""
        match mapping:
            case Mapping.STRICT:
                return float(self.satisfied)
            case Mapping.TERNARY:
                return _TERNARY[self.label]
            case Mapping.EXPECTED:
                return self.p_partial + self.p_full if negative else self.p_full


_TERNARY = {Label.NOT_SATISFIED: 0.0, Label.PARTIALLY_SATISFIED: 0.5, Label.FULLY_SATISFIED: 1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The judge's answer to one criterion."""

    criterion_id: str
    result: Score | Unscored
    rationale: str | None = None
    evidence: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reward:
    """The weighted scalar with its parts (`judger.reward`). The first four are None where there is no reward."""

    value: float | None
    raw: float | None
    normalized: float | None
    clamped: float | None
    positive_weight: float
    negative_weight: float
    mapping: Mapping
    fatal: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a case cost: prompt tokens, those of them shared or cached, seconds waited and worked."""

    prompt_tokens: int = 0
    shared_tokens: int = 0
    queue_seconds: float = 0.0
    engine_seconds: float = 0.0
    joined_criteria: int = 0
    cached_criteria: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a case is to be judged."""

    mapping: Mapping = Mapping.STRICT
    explain: Explain = Explain.NEVER
    explain_margin: float = 0.0
    trials: int = 1
    allow_unscored: bool = False
    lane: Lane = Lane.TRAINING


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One judged case: a verdict per criterion in order, and the reward."""

    case_id: str
    verdicts: tuple[Verdict, ...]
    reward: Reward
    judge_id: str
    usage: Usage = field(default_factory=Usage)
    flags: tuple[str, ...] = ()
    criteria: tuple[Criterion, ...] = field(default=(), repr=False, compare=False)
    """The rubric, where the client knows it: a response has the ids alone."""

    @property
    def unscored(self) -> dict[str, Unscored]:
        """The criteria without a verdict, by id, and why. Empty where all were scored."""
        return {v.criterion_id: v.result for v in self.verdicts if isinstance(v.result, Unscored)}

    def components(self) -> dict[Role, float]:
        """What each role adds to `reward.normalized`: the three sum to it. Empty where there is no reward.

        Every role is there, 0.0 for one without criteria, so that each sample of a batch has the same keys.
        Raises ValueError where the criteria are not known (a judgement that no client gave).
        """
        if self.reward.raw is None:
            return {}
        if len(self.criteria) != len(self.verdicts):
            raise ValueError(
                "criteria: this judgement does not know its rubric; ask with judge(), not with judge_raw()"
            )
        sums: dict[Role, list[float]] = {role: [] for role in Role}
        for criterion, verdict in zip(self.criteria, self.verdicts, strict=True):
            if isinstance(verdict.result, Score):
                share = verdict.result.credit(self.reward.mapping, negative=criterion.is_negative)
                sums[criterion.role].append(criterion.weight * share)
        total = self.reward.positive_weight or -self.reward.negative_weight
        return {role: math.fsum(parts) / total for role, parts in sums.items()}

    def to_dict(self) -> dict[str, Any]:
        """Plain values under the names of `judger score --json`, for logs and tables; None where it leaves one out."""
        return {
            "request_id": self.case_id,
            "verdicts": [_verdict_as_dict(verdict) for verdict in self.verdicts],
            "reward": dataclasses.asdict(self.reward) | {"mapping": self.reward.mapping.name},
            "judge_id": self.judge_id,
            "usage": dataclasses.asdict(self.usage),
            "flags": list(self.flags),
        }


def _verdict_as_dict(verdict: Verdict) -> dict[str, Any]:
    result = verdict.result
    return {
        "criterion_id": verdict.criterion_id,
        "score": dataclasses.asdict(result) | {"label": result.label.name} if isinstance(result, Score) else None,
        "unscored": None if isinstance(result, Score) else {"reason": result.reason.name, "detail": result.detail},
        "rationale": verdict.rationale,
        "evidence": [dataclasses.asdict(span) for span in verdict.evidence],
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is refused before any work; stated in GetJudge and the README."""

    report_bytes: int = 2 * 2**20
    criteria: int = 512
    message_bytes: int = 64 * 2**20
    group_reports: int = 1024
    query_bytes: int = 2**18
    criterion_bytes: int = 2**15
    trials: int = 32
    in_flight_bytes: int = 64 * 2**20
    """Of one caller's requests: whoever has as much in hand waits, or is told to come back."""
    watches: int = 128
    """Health.Watch streams of one host."""


LIMITS = Limits()

IN_FLIGHT = 64
"""Cases of one stream or batch that are asked and judged at a time, unless a setting says otherwise."""
