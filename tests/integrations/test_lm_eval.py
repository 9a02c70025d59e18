"""lm-eval's own evaluation of a task in YAML, with a model that says what it is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

TASK = """
task: fruit
dataset_path: json
dataset_kwargs: {data_files: {test: DATA}}
test_split: test
output_type: generate_until
doc_to_text: prompt
doc_to_target: ""
process_results: !function fruit.process_results
metric_list:
  - {metric: checklist, aggregation: nanmean, higher_is_better: true}
  - {metric: checklist_unscored, aggregation: mean, higher_is_better: false}
"""


def test_a_missing_reward_stays_out_of_the_mean_and_is_counted(address: str, tmp_path: Path) -> None:
    import lm_eval
    from lm_eval.api.model import LM
    from lm_eval.tasks import TaskManager

    class Says(LM):
        def generate_until(self, requests: Any, **_: Any) -> list[str]:
            return ["<think>pear</think>an apple"] * len(requests)

        def loglikelihood(self, requests: Any, **_: Any) -> Any:
            raise NotImplementedError

        loglikelihood_rolling = loglikelihood

    rows = [{"prompt": "fruit?", "rubric": json.dumps(one)} for one in (["apple", "pear"], ["[[unscored=too_long]]"])]
    data = tmp_path / "rows.jsonl"
    data.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    (tmp_path / "fruit.py").write_text(
        "from judger.integrations.lm_eval import process_results_of\n"
        f"process_results = process_results_of({address!r})\n",
        encoding="utf-8",
    )
    (tmp_path / "fruit.yaml").write_text(TASK.replace("DATA", str(data)), encoding="utf-8")
    manager = TaskManager(include_path=str(tmp_path), include_defaults=False)
    results = lm_eval.simple_evaluate(Says(), tasks=["fruit"], task_manager=manager, bootstrap_iters=0)["results"]
    assert results["fruit"]["checklist,none"] == pytest.approx(0.5)
    assert results["fruit"]["checklist_unscored,none"] == pytest.approx(0.5)
