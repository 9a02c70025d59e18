"""Prometheus metrics of one server, in a registry of its own so that several servers fit in one process."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from judger.judge import Judge
from judger.types import Case, Judgement, Score

SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)


class Metrics:
    """What is counted, and `observe` to count it."""

    def __init__(self, judge: Judge) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "judger_requests", "Requests by method and status code", ["method", "code"], registry=self.registry
        )
        self.seconds = Histogram(
            "judger_stage_seconds", "Seconds a case spent by stage", ["stage"], buckets=SECONDS, registry=self.registry
        )
        self.verdicts = Counter(
            "judger_verdicts", "Verdicts by label and sign", ["label", "sign"], registry=self.registry
        )
        self.unscored = Counter("judger_unscored", "Unscored criteria by reason", ["reason"], registry=self.registry)
        self.rewards = Histogram(
            "judger_reward",
            "Reward values",
            buckets=[-1 + step / 10 for step in range(21)],
            registry=self.registry,
        )
        in_flight = Gauge("judger_cases_in_flight", "Cases being judged", registry=self.registry)
        in_flight.set_function(lambda: judge.num_in_flight)
        queued = Gauge("judger_queued_tokens", "Tokens that wait for the engine", registry=self.registry)
        queued.set_function(lambda: judge.work.queued[1])

    def observe(self, case: Case, judgement: Judgement) -> None:
        """Counts one judged case."""
        self.seconds.labels("queue").observe(judgement.usage.queue_seconds)
        self.seconds.labels("engine").observe(judgement.usage.engine_seconds)
        counts: dict[tuple[str, str], int] = {}
        for criterion, verdict in zip(case.criteria, judgement.verdicts, strict=True):
            if isinstance(verdict.result, Score):
                key = (verdict.result.label.value, "negative" if criterion.is_negative else "positive")
                counts[key] = counts.get(key, 0) + 1
            else:
                self.unscored.labels(verdict.result.reason.value).inc()
        for key, count in counts.items():
            self.verdicts.labels(*key).inc(count)
        if judgement.reward.value is not None:
            self.rewards.observe(judgement.reward.value)
