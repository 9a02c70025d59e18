"""The soak's short form: mixed load, killed clients, dying engines and a restart in a few seconds."""

from __future__ import annotations

import pytest

from tests.soak import soak


@pytest.mark.timeout(300)
def test_under_faults_no_answer_is_wrong_lost_or_twice_and_no_call_hangs() -> None:
    figures = soak(seconds=8.0, clients=2, restarts=1)
    assert figures["acknowledged"] > 0
    assert figures["wrong"] == 0
    assert not figures["counts"].get("HANG")
    assert not figures["counts"].get("group WRONG")
    assert figures["exit_codes"] == [0, 0]
