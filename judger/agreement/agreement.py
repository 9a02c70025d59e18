"""How far a judge agrees with people: figures per source and their mean, with intervals, beside two baselines.

Pure: judged and labelled criteria in, figures out. A criterion without a verdict is left out of the figures and
counted. The mean gives every source the same weight, whatever its size; its calibration error is that of the sources
pooled with equal weight.

Intervals are percentile bootstrap intervals, clustered by report: whole reports are drawn with replacement, because
the criteria of one report stand or fall together (Cameron, Gelbach and Miller 2008, section 3). Values are
scikit-learn's; the resamples use the same formulas on counts per report, which makes 1,000 of them one matrix product.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from judger.agreement import baselines
from judger.agreement.baselines import Answers, Floats
from judger.agreement.figures import CONFIDENCE, Figure, Row, Sample, draws, table
from judger.types import Case, Label, Score, Unscored, Verdict
from judger.verdict import p_satisfied

LABELS = tuple(Label)
RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Observation:
    """One labelled criterion and what the judge said of it. Small: the report itself is not kept."""

    report: bytes
    """Digest of the report: the cluster of the bootstrap."""
    negative: bool
    human: Label
    result: Score | Unscored
    overlap: tuple[float, ...]


def observe(case: Case, verdicts: Sequence[Verdict]) -> list[Observation]:
    """The labelled criteria of a judged case; those without a label are passed over."""
    report = hashlib.sha256(case.report.encode()).digest()[:16]
    return [
        Observation(report, criterion.is_negative, criterion.label, verdict.result, features)
        for criterion, verdict, features in zip(case.criteria, verdicts, baselines.overlap(case), strict=True)
        if criterion.label is not None
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What `judger agree` shows."""

    judge_id: str
    sources: dict[str, Row]
    mean: Row
    baselines: dict[str, tuple[dict[str, Row], Row]]
    """By name: per source, and the mean."""
    unscored: dict[str, dict[str, int]]
    """By source: how many criteria have no verdict, by reason."""
    reports: dict[str, int]
    resamples: int
    seed: int

    def to_json(self) -> dict[str, Any]:
        def rows(sources: Mapping[str, Row], mean: Row) -> dict[str, Any]:
            return {"sources": {name: row.to_json() for name, row in sources.items()}, "mean": mean.to_json()}

        return {
            "judge_id": self.judge_id,
            **rows(self.sources, self.mean),
            "baselines": {name: rows(*figures) for name, figures in self.baselines.items()},
            "details": {
                "unscored": self.unscored,
                "reports": self.reports,
                "bootstrap": {"resamples": self.resamples, "seed": self.seed, "confidence": CONFIDENCE},
            },
        }


def agreement(
    judge_id: str,
    observations: Mapping[str, Iterable[Observation]],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Agreement:
    """The figures of a judge and of both baselines, on the same criteria and resamples.

    `observations` are by source name. Undefined figures (one class only, one report) have None where a number would
    mislead; nothing warns.
    """
    judge: dict[str, tuple[Sample, Answers]] = {}
    features: list[Floats] = []
    unscored: dict[str, dict[str, int]] = {}
    for index, (name, observed) in enumerate(observations.items()):
        rows = list(observed)
        reasons = Counter(row.result.reason.value for row in rows if isinstance(row.result, Unscored))
        unscored[name] = dict(sorted(reasons.items()))
        judge[name] = _arrays(rows, resamples, np.random.default_rng([seed, index]))
        scored = [row.overlap for row in rows if not isinstance(row.result, Unscored)]
        features.append(np.array(scored, dtype=np.float64).reshape(len(scored), baselines.NUM_FEATURES))
    samples = {name: sample for name, (sample, _) in judge.items()}
    sources, mean = table(judge)
    return Agreement(
        judge_id=judge_id,
        sources=sources,
        mean=mean,
        baselines={
            "majority_class": table(
                {name: (s, baselines.majority_class(s.human, s.human_satisfied)) for name, s in samples.items()}
            ),
            "word_overlap": table(_word_overlap(samples, features)),
        },
        unscored=unscored,
        reports={name: len(sample.missing) for name, sample in samples.items()},
        resamples=resamples,
        seed=seed,
    )


def _arrays(rows: Sequence[Observation], resamples: int, rng: np.random.Generator) -> tuple[Sample, Answers]:
    numbers = {report: number for number, report in enumerate(dict.fromkeys(row.report for row in rows))}
    scored = [(row, row.result) for row in rows if not isinstance(row.result, Unscored)]
    missing = np.zeros(len(numbers))
    for row in rows:
        missing[numbers[row.report]] += isinstance(row.result, Unscored)
    sample = Sample(
        human=np.array([LABELS.index(row.human) for row, _ in scored], dtype=np.int64),
        negative=np.array([row.negative for row, _ in scored], dtype=np.bool_),
        reports=np.array([numbers[row.report] for row, _ in scored], dtype=np.int64),
        missing=missing,
        draws=draws(len(numbers), resamples, rng),
    )
    answers = Answers(
        np.array([LABELS.index(score.label) for _, score in scored], dtype=np.int64),
        np.array([score.satisfied for _, score in scored], dtype=np.bool_),
        np.array([p_satisfied(score, negative=row.negative) for row, score in scored], dtype=np.float64),
    )
    return sample, answers


def _word_overlap(samples: Mapping[str, Sample], features: Sequence[Floats]) -> dict[str, tuple[Sample, Answers]]:
    """The baseline fitted over all sources at once, each with the same weight, and taken apart again."""
    present = {name: sample for name, sample in samples.items() if len(sample.human)}
    if not present:
        return {}
    sizes = [len(sample.human) for sample in present.values()]
    offsets = np.cumsum([0, *(len(sample.missing) for sample in present.values())])
    answers = baselines.word_overlap(
        np.concatenate([rows for rows in features if len(rows)]),
        np.concatenate([sample.human for sample in present.values()]),
        np.concatenate([sample.human_satisfied for sample in present.values()]),
        np.concatenate([sample.negative for sample in present.values()]),
        np.concatenate(
            [sample.reports + offset for sample, offset in zip(present.values(), offsets[:-1], strict=True)]
        ),
        np.concatenate([np.full(size, 1 / size) for size in sizes]),
    )
    if answers is None:
        return {}
    ends = np.cumsum(sizes)
    parts = [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]
    return {
        name: (sample, Answers(answers.label[part], answers.satisfied[part], answers.p_satisfied[part]))
        for (name, sample), part in zip(present.items(), parts, strict=True)
    }


__all__ = ["Agreement", "Figure", "Observation", "Row", "agreement", "observe"]
