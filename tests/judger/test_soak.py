"""The soak's short form: load at twice the capacity, killed clients, dying engines and a restart in a few seconds."""

from __future__ import annotations

import pytest

from tests.soak.run import Plan, faults, soak


@pytest.mark.timeout(300)
def test_under_faults_no_answer_is_wrong_lost_or_twice_and_no_call_hangs() -> None:
    plan = Plan(seconds=8.0, clients=2, restarts=1, crash_every=2.0, kill_every=4.0)
    figures = soak(plan)
    assert faults(figures, plan) == []
    assert figures["engine_deaths"] >= 2
    assert figures["clients_killed"] >= 1
    assert figures["counts"]["group whole"] > 0
    assert figures["counts"]["stream whole"] > 0
