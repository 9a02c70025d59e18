"""ragas' own evaluation."""

from __future__ import annotations

import math

import pytest


def test_a_missing_reward_is_nan_and_stays_out_of_the_mean(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGAS_DO_NOT_TRACK", "true")
    from ragas import EvaluationDataset, evaluate

    from judger.integrations._common import Unjudged
    from judger.integrations.ragas import Checklist

    rows = [
        {"user_input": "fruit?", "response": "an apple", "reference": rubric}
        for rubric in ('["apple", "pear"]', '["[[unscored=too_long]]"]')
    ]
    data = EvaluationDataset.from_list(rows)
    result = evaluate(data, metrics=[Checklist(address=address)], show_progress=False)
    assert result["checklist"][0] == 0.5
    assert math.isnan(result["checklist"][1])
    assert result._repr_dict["checklist"] == 0.5
    with pytest.raises(Unjudged, match="too_long"):
        evaluate(data, metrics=[Checklist(address=address)], show_progress=False, raise_exceptions=True)
