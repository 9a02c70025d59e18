"""How much of a model's distribution lies on the labels: read, bounded, told and warned of."""

from __future__ import annotations

import logging
import math

import pytest

from judger.engines.base import Outcome
from judger.engines.explained import label_mass, label_outcome, mean_outcome, weighed
from judger.engines.mass import LOW, LabelMass
from judger.judge import Judge
from judger.observe.metrics import Metrics
from judger.server.info import judge_info
from judger.types import Case, Criterion, Probabilities, Reason, Unscored
from tests.judger.engines.generative import tiny


def test_the_mass_is_the_sum_of_the_labels_probabilities() -> None:
    assert label_mass([math.log(0.01), math.log(0.02), math.log(0.03)]) == pytest.approx(0.06)
    assert label_mass([-math.inf, -math.inf, 0.0]) == 1.0
    assert label_mass([1e-9, -math.inf, -math.inf]) == 1.0  # a hair over, by rounding
    assert label_mass([5.0, 3.0, 1.0]) is None  # scores, not log-probabilities
    assert label_mass([1e9, 0.0, 0.0]) is None
    assert label_mass([math.nan, 0.0, 0.0]) is None


def test_below_the_bound_a_criterion_has_no_verdict_and_keeps_its_mass() -> None:
    low = [math.log(0.0004), math.log(0.0003), math.log(0.0002)]
    assert isinstance(label_outcome(low, 0.0009).result, Probabilities)
    outcome = label_outcome(low, 0.001)
    assert isinstance(outcome.result, Unscored)
    assert outcome.result.reason is Reason.UNPARSABLE
    assert "0.0009" in outcome.result.detail
    assert outcome.label_mass == pytest.approx(0.0009)
    unknown = Outcome(result=Probabilities(1.0, 0.0, 0.0))
    assert weighed(unknown, 1.0) is unknown


def test_trials_have_their_mean_mass() -> None:
    trials = [Outcome(result=Probabilities(1.0, 0.0, 0.0), label_mass=mass) for mass in (0.2, None, 0.4)]
    assert mean_outcome(trials).label_mass == pytest.approx(0.3)
    assert mean_outcome(trials[1:2]).label_mass is None


def outcomes(*masses: float | None) -> list[Outcome]:
    return [Outcome(result=Probabilities(1.0, 0.0, 0.0), label_mass=mass) for mass in masses]


def own(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Its own messages: what an earlier test has left running may log, too."""
    return [record for record in caplog.records if record.name == LabelMass.__module__]


def test_a_low_mean_warns_once_until_it_has_been_high_again(caplog: pytest.LogCaptureFixture) -> None:
    meter = LabelMass()
    meter.add(outcomes(None))
    assert meter.mean is None
    meter.add(outcomes(0.03, 0.05))
    assert meter.mean == pytest.approx(0.04)
    assert meter.mean < LOW
    meter.add(outcomes(0.03))
    assert [record.levelno for record in own(caplog)] == [logging.WARNING]
    meter.add(outcomes(*[1.0] * 10))
    meter.add(outcomes(*[0.0] * 2000))
    assert len(own(caplog)) == 2
    assert meter.mean is not None
    assert meter.mean < 0.2  # it looks back on the latest alone


async def test_the_mass_is_told_from_the_warm_up_on_and_in_the_metrics() -> None:
    from judger.engines.torch import TorchEngine
    from judger.engines.torch.load import prepare

    judge = Judge(TorchEngine(prepare(tiny.model("qwen3"), tiny.tokenizer(), name="tiny")))
    metrics = Metrics(judge)
    assert not judge_info(judge).HasField("label_mass")
    assert math.isnan(metrics.registry.get_sample_value("judger_label_mass") or 0.0)
    await judge.warm_up()
    first = judge_info(judge).label_mass
    assert 0 < first < 1
    assert metrics.registry.get_sample_value("judger_label_mass") == first
    await judge.judge(Case(id="a", query="", report="Wind.", criteria=(Criterion(id="1", text="It is short."),)))
    assert judge_info(judge).label_mass != first
    await judge.close()
