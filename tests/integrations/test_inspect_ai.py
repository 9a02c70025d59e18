"""Inspect's own evaluation, with a model that says what it is told and our scorer."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
GOOD, LOST = '["apple", "pear"]', '["apple", "[[unscored=too_long]]"]'


def saying(*texts: str) -> Any:
    """A model that says this. With its usage given Inspect needs no tokenizer, which it would download."""
    from inspect_ai.model import ModelOutput, ModelUsage, get_model

    said = [ModelOutput.from_content("mockllm/model", text) for text in texts]
    for one in said:
        one.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
    return get_model("mockllm/model", custom_outputs=said)


@pytest.fixture
def log(address: str, tmp_path: Path) -> Any:
    """The log of three samples: judged, unscored, and one whose model said nothing."""
    from inspect_ai import Task
    from inspect_ai import eval as evaluate
    from inspect_ai.dataset import Sample

    from judger.integrations.inspect_ai import checklist

    samples = [
        Sample(input="fruit?", target=GOOD),
        Sample(input="fruit?", target="an apple", metadata={"rubric": LOST}),
        Sample(input="fruit?", target=GOOD),
    ]
    task = Task(dataset=samples, scorer=checklist(address))
    model = saying("<think>pear</think>an apple", "an apple", "")
    return evaluate(task, model=model, display="none", max_samples=1, log_dir=str(tmp_path))[0]


def test_a_score_is_the_reward_and_what_is_unscored_stays_out_of_the_mean(log: Any) -> None:
    assert log.status == "success"
    first, lost, silent = (sample.scores["checklist"] for sample in log.samples)
    assert first.value == 0.5
    assert first.metadata["judge"]["verdicts"] == {"c1": "fully_satisfied", "c2": "not_satisfied"}
    assert math.isnan(lost.value)
    assert (lost.reason, lost.explanation) == ("grader_failed", "c2 is unscored (too_long: scripted)")
    assert (silent.reason, math.isnan(silent.value)) == ("no_response", True)
    (results,) = log.results.scores
    assert results.metrics["mean"].value == 0.5
    assert results.unscored_samples == 2


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as `pip install .` lays it down: Inspect takes the name before the slash from where a module lies."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("target") / "site-packages"
    for name in ("pyproject.toml", "README.md", "LICENSE", "checklist_judger.py"):
        shutil.copy(ROOT / name, source)
    leave = shutil.ignore_patterns("__pycache__", "weights", "demo")
    shutil.copytree(ROOT / "judger", source / "judger", ignore=leave)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--target", target, source], check=True, timeout=200)
    return target


def test_inspects_command_finds_the_scorer_by_name(address: str, tmp_path: Path, installed: Path) -> None:
    from inspect_ai import Task
    from inspect_ai import eval as evaluate
    from inspect_ai.dataset import Sample
    from inspect_ai.log import read_eval_log

    task = Task(dataset=[Sample(input="fruit?", metadata={"rubric": ["apple", "pear"]})])
    log = evaluate(task, model=saying("an apple"), display="none", score=False, log_dir=str(tmp_path))[0]
    command = [sys.executable, "-m", "inspect_ai", "score", log.location, "--overwrite"]
    named = ["--scorer", "judger/checklist", "-S", f"address={address}"]
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run(
        [*command, *named], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (scores,) = read_eval_log(log.location).results.scores
    assert (scores.name, scores.metrics["mean"].value) == ("checklist", 0.5)
