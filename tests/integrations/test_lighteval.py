"""lighteval's own metric, documents and aggregation."""

from __future__ import annotations

import math

import pytest


def test_a_missing_reward_stays_out_of_the_corpus_mean_and_is_counted(address: str) -> None:
    from lighteval.metrics import apply_metric
    from lighteval.models.model_output import ModelResponse
    from lighteval.tasks.requests import Doc

    from judger.integrations.lighteval import checklist

    metric = checklist(address)
    rubrics = [["apple", "pear"], ["[[unscored=too_long]]"]]
    docs = [Doc(query="fruit?", choices=[], gold_index=[], specific={"rubric": rubric}) for rubric in rubrics]
    outputs = apply_metric([ModelResponse(text=["an apple"])] * 2, docs, [metric])
    values = [one["checklist"] for one in outputs]
    assert values[0] == 0.5
    assert math.isnan(values[1])
    aggregations = metric.get_corpus_aggregations()
    assert aggregations["checklist"](values) == pytest.approx(0.5)
    assert aggregations["checklist_unscored"]([one["checklist_unscored"] for one in outputs]) == pytest.approx(0.5)
