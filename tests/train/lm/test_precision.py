"""Mid-training and fine-tuning of bfloat16 checkpoints in Qwen's shapes: bfloat16 passes learn what float32 ones do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.train.shapes import SHAPES, random_model, save_bf16
from train.cli import main

DRILL = ["--device", "cpu", "--batch", "2", "--accumulate", "1", "--steps", "12", "--learning-rate", "1e-2"]


@pytest.mark.training
@pytest.mark.parametrize("stage", ["midtrain", "sft"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_bfloat16_run_learns_as_a_float32_one_does(shape: str, stage: str, data: Path, tokenizer, tmp_path: Path):
    """The seeds set the noise: the losses of the two precisions are nearer than those of two orders of the data."""
    model = save_bf16(random_model(shape, tokenizer), tokenizer, tmp_path / shape)
    command = [stage, "--data", str(data), "--model", str(model), *DRILL]
    command += ["--stage", "1", "--context", "256", "--probes", "2"] if stage == "midtrain" else []
    after: dict[str, float] = {}
    for name, changed in {
        "float32": ["--precision", "float32"],
        "bfloat16": ["--precision", "bfloat16"],
        "another order": ["--precision", "float32", "--seed", "1"],
    }.items():
        out = tmp_path / name
        assert main([*command, *changed, "--out", str(out)]) == 0
        found = json.loads((out / "figures.json").read_text())
        loss = {when: found[when]["loss"] for when in ("before", "after")}
        if stage == "midtrain":
            loss = {when: sum(row["loss"] for row in rows) / len(rows) for when, rows in loss.items()}
        assert loss["after"] < loss["before"] - 0.5
        after[name] = loss["after"]
        assert AutoModelForCausalLM.from_pretrained(out).dtype == torch.bfloat16
    print(shape, stage, after)
    noise = abs(after["another order"] - after["float32"])
    assert abs(after["bfloat16"] - after["float32"]) < max(noise, 0.02)
