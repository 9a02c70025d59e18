"""Prometheus metrics of one server, in a registry of its own so that several servers fit in one process."""

from __future__ import annotations

import collections
import math
from collections.abc import Callable
from functools import partial
from typing import Protocol, runtime_checkable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from judger.judge import Judge
from judger.schedule.batcher import Batcher
from judger.steering import NAMES, flag_name
from judger.types import Case, Judgement, Label, Lane, Reason, Score

SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)


@runtime_checkable
class Remembering(Protocol):
    """An engine that keeps what it computed of a prompt, and counts it."""

    @property
    def prefix_tokens(self) -> tuple[int, int]:
        """(tokens of prompts found kept from earlier cases, tokens computed) since it was loaded."""
        ...


class Metrics:
    """What is counted, and `observe` to count it."""

    def __init__(self, judge: Judge) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "judger_requests", "Requests by method and status code", ["method", "code"], registry=self.registry
        )
        self.seconds = Histogram(
            "judger_stage_seconds",
            "Seconds by stage: a case's in queue and engine, a request's in all",
            ["stage"],
            buckets=SECONDS,
            registry=self.registry,
        )
        if isinstance(judge.work, Batcher):  # what batches by itself tells nothing of it
            batches = Histogram(
                "judger_batch_tokens",
                "Tokens of a batch, in the engine's own count",
                buckets=[2**power for power in range(6, 20)],
                registry=self.registry,
            )
            judge.work.on_batch = batches.observe
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
        self.criteria = Counter(
            "judger_criteria", "Criteria by where their verdict came from", ["source"], registry=self.registry
        )
        self.tokens = Counter("judger_prompt_tokens", "Prompt tokens, shared or not", ["kind"], registry=self.registry)
        self.satisfied = Counter(
            "judger_satisfied",
            "Criteria whose strict bit is set: its rate by sign tells drift",
            ["sign"],
            registry=self.registry,
        )
        self.flags = Counter("judger_flags", "Flags on reports by name", ["name"], registry=self.registry)
        for name in NAMES:  # so that the first one of a kind is an increase
            self.flags.labels(name)
        self.cache_faults = Counter(
            "judger_cache_faults", "What went wrong with the cache's file or Redis", ["kind"], registry=self.registry
        )

        def gauge(name: str, text: str, value: Callable[[], float]) -> None:
            Gauge(name, text, registry=self.registry).set_function(value)

        gauge("judger_cases_in_flight", "Cases being judged", lambda: judge.num_in_flight)
        gauge("judger_queued_criteria", "Criteria that wait for the engine", lambda: judge.work.queued[0])
        gauge("judger_queued_tokens", "Tokens that wait for the engine", lambda: judge.work.queued[1])
        gauge("judger_queue_age_seconds", "Seconds the oldest case has waited", lambda: judge.work.oldest)
        gauge("judger_pace_tokens_per_second", "The learned pace; 0: unknown", lambda: judge.admission.pace or 0.0)
        mass = "Mean share of the distribution on the labels; NaN: not read off words"
        gauge("judger_label_mass", mass, lambda: math.nan if judge.label_mass.mean is None else judge.label_mass.mean)
        gauge("judger_engine_up", "1 while the engine judges, 0 while it is restarted", lambda: judge.work.keeper.is_up)
        gauge("judger_engine_restarts", "Times the engine came back", lambda: judge.work.keeper.num_restarts)
        for kind, place in (("found", 0), ("computed", 1)):
            words = f"Tokens of prompts {kind} since the engine was loaded; NaN: it does not count them"
            gauge(f"judger_prefix_tokens_{kind}", words, partial(_prefix_tokens, judge, place))
        held = Gauge("judger_held_tokens", "Estimated tokens admitted and not done", ["lane"], registry=self.registry)
        for lane in Lane:
            held.labels(lane.value).set_function(partial(judge.admission.held.__getitem__, lane))
        shared = judge.cache.shared if judge.cache is not None else None
        for tier in (judge.cache.file, shared) if judge.cache is not None else ():
            if tier is not None:
                tier.on_fault = lambda kind: self.cache_faults.labels(kind).inc()
        up = "1 while the shared cache answers, 0 after a failure; 1 where there is none"
        gauge("judger_cache_shared_up", up, lambda: shared is None or shared.is_up)
        ProcessCollector(registry=self.registry)  # memory, CPU, open files

    def observe(self, case: Case, judgement: Judgement) -> None:
        """Counts one judged case."""
        self.seconds.labels("queue").observe(judgement.usage.queue_seconds)
        self.seconds.labels("engine").observe(judgement.usage.engine_seconds)
        # Counted up first: looking up a metric of these labels takes longer than all the rest.
        scored: collections.Counter[tuple[Label, bool, bool]] = collections.Counter()
        unscored: collections.Counter[Reason] = collections.Counter()
        for criterion, verdict in zip(case.criteria, judgement.verdicts, strict=True):
            result = verdict.result
            if isinstance(result, Score):
                scored[result.label, criterion.weight < 0, result.satisfied] += 1
            else:
                unscored[result.reason] += 1
        for (label, negative, satisfied), count in scored.items():
            sign = "negative" if negative else "positive"
            self.verdicts.labels(label.value, sign).inc(count)
            self.satisfied.labels(sign).inc(count * satisfied)
        for reason, count in unscored.items():
            self.unscored.labels(reason.value).inc(count)
        usage = judgement.usage
        judged = len(case.criteria) - usage.cached_criteria - usage.joined_criteria
        for source, number in (
            ("judged", judged),
            ("joined", usage.joined_criteria),
            ("cached", usage.cached_criteria),
        ):
            if number:
                self.criteria.labels(source).inc(number)
        self.tokens.labels("shared").inc(usage.shared_tokens)
        self.tokens.labels("own").inc(max(0, usage.prompt_tokens - usage.shared_tokens))
        for flag in judgement.flags:
            self.flags.labels(flag_name(flag)).inc()
        if judgement.reward.value is not None:
            self.rewards.observe(judgement.reward.value)


def _prefix_tokens(judge: Judge, place: int) -> float:
    engine = judge.engine
    return engine.prefix_tokens[place] if isinstance(engine, Remembering) else math.nan
