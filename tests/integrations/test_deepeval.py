"""deepeval's own evaluation."""

from __future__ import annotations

from pathlib import Path

import pytest

from judger.integrations._common import Unjudged


def test_a_missing_reward_is_an_error_without_a_score(
    address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)  # it writes its last run beside whatever called it
    monkeypatch.setenv("DEEPEVAL_TELEMETRY_OPT_OUT", "1")
    from deepeval import evaluate
    from deepeval.evaluate import DisplayConfig, ErrorConfig
    from deepeval.test_case import LLMTestCase

    from judger.integrations.deepeval import ChecklistMetric

    cases = [
        LLMTestCase(input="fruit?", actual_output="an apple", metadata={"rubric": rubric})
        for rubric in (["apple", "pear"], ["[[unscored=too_long]]"])
    ]
    quiet = DisplayConfig(print_results=False, show_indicator=False)
    metric = ChecklistMetric(address, threshold=0.4)
    results = evaluate(cases, [metric], error_config=ErrorConfig(ignore_errors=True), display_config=quiet)
    first, lost = (one.metrics_data[0] for one in sorted(results.test_results, key=lambda one: one.index or 0))
    assert (first.score, first.success) == (0.5, True)
    assert (lost.score, lost.success) == (None, False)
    assert "too_long" in lost.error
    with pytest.raises(Unjudged, match="too_long"):
        evaluate(cases[1:], [metric], display_config=quiet)
