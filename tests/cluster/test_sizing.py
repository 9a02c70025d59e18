"""The arithmetic of docs/sizing.md against a simulation of router and replicas."""

from __future__ import annotations

import pytest

pytest.importorskip("simpy", reason="left to make test-ray")

from tests.benchmarks.sizing import Fleet, Work, per_million, simulate, verdicts_per_second

WORK = Work()


@pytest.mark.parametrize("gpus", [1, 8, 64])
def test_the_fleet_does_what_the_arithmetic_says(gpus: int) -> None:
    fleet = Fleet(gpus=gpus, pace=20_000.0)
    most = verdicts_per_second(WORK, fleet)
    seen = simulate(WORK, fleet, 0.8 * most, seconds=160.0)
    assert seen.verdicts_per_second == pytest.approx(0.8 * most, rel=0.12 if gpus == 1 else 0.05)
    assert seen.p99 < 5.0
    assert seen.found > 0.44  # half of the calls are second ones


def test_without_sessions_it_does_less() -> None:
    fleet = Fleet(gpus=8, pace=20_000.0)
    most = verdicts_per_second(WORK, fleet, sessions=False)
    assert most < 0.65 * verdicts_per_second(WORK, fleet)
    seen = simulate(WORK, fleet, 0.8 * most, seconds=160.0, sessions=False)
    assert seen.verdicts_per_second == pytest.approx(0.8 * most, rel=0.05)
    assert seen.found == pytest.approx(1 / 16, abs=0.02)


def test_a_million_verdicts_cost_what_their_hours_cost() -> None:
    assert per_million(3.6, 10, 1000.0) == pytest.approx(10.0)
