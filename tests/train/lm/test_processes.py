"""Mid-training and fine-tuning in two processes, unsharded (DDP) and sharded (FSDP2)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.train.processes import together
from tests.train.shapes import random_model, save_bf16
from train.cli import main

SHORT = ["--device", "cpu", "--accumulate", "1", "--steps", "2", "--save-every", "1", "--learning-rate", "1e-3"]


@pytest.fixture(scope="module")
def checkpoint(tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_bf16(random_model("qwen3", tokenizer), tokenizer, tmp_path_factory.mktemp("qwen3"))


def figures(folder: Path) -> dict:
    return json.loads((folder / "figures.json").read_text())


@pytest.mark.parametrize("sharded", [pytest.param(False, marks=pytest.mark.training), True], ids=["ddp", "fsdp2"])
def test_two_processes_write_one_whole_model(sharded: bool, checkpoint: Path, data: Path, tmp_path: Path):
    command = ["sft", "--data", str(data), "--model", str(checkpoint), "--out", str(tmp_path), *SHORT]
    assert together(main, command, sharded=sharded) == [0, 0]
    model = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert model.dtype == torch.bfloat16
    begun = AutoModelForCausalLM.from_pretrained(checkpoint)
    assert [p.shape for p in model.parameters()] == [p.shape for p in begun.parameters()]
    assert any(not torch.equal(*pair) for pair in zip(model.parameters(), begun.parameters(), strict=True))
    found = figures(tmp_path)
    assert found["after"]["loss"] < found["before"]["loss"]


@pytest.mark.training
def test_mid_training_in_shards_measures_what_one_process_does(checkpoint: Path, data: Path, tmp_path: Path):
    command = ["midtrain", "--data", str(data), "--stage", "1", "--model", str(checkpoint), "--context", "256"]
    command += ["--probes", "3", *SHORT]
    assert together(main, [*command, "--out", str(tmp_path / "two")], sharded=True) == [0, 0]
    assert main([*command, "--out", str(tmp_path / "one")]) == 0
    two, one = figures(tmp_path / "two"), figures(tmp_path / "one")
    for name in ("random", "before"):
        assert two[name]["retrieval"] == one[name]["retrieval"]
        for a, b in zip(two[name]["loss"], one[name]["loss"], strict=True):
            assert a == pytest.approx(b, abs=1e-4)
    assert two["after"]["loss"][0]["loss"] < two["before"]["loss"][0]["loss"]
    AutoModelForCausalLM.from_pretrained(tmp_path / "two")


@pytest.mark.training
def test_adapters_trained_in_shards_are_merged_into_a_whole_model(checkpoint: Path, data: Path, tmp_path: Path):
    command = ["sft", "--data", str(data), "--model", str(checkpoint), "--out", str(tmp_path), *SHORT]
    assert together(main, [*command, "--lora", "--lora-rank", "2"], sharded=True) == [0, 0]
    begun = AutoModelForCausalLM.from_pretrained(checkpoint).state_dict()
    model = AutoModelForCausalLM.from_pretrained(tmp_path).state_dict()
    changed = {name for name in begun if not torch.equal(begun[name], model[name])}
    assert changed
    assert all("proj" in name for name in changed)


@pytest.mark.training
def test_a_sharded_run_that_was_interrupted_comes_to_the_same_figures(checkpoint: Path, data: Path, tmp_path: Path):
    command = ["sft", "--data", str(data), "--model", str(checkpoint), "--out", str(tmp_path), *SHORT]
    assert together(main, command, sharded=True) == [0, 0]
    whole = figures(tmp_path)
    (tmp_path / "figures.json").unlink()
    (tmp_path / "checkpoints" / "checkpoint-2" / "trainer_state.json").unlink()
    assert together(main, command, sharded=True) == [0, 0]
    assert figures(tmp_path)["after"]["loss"] == pytest.approx(whole["after"]["loss"], abs=1e-4)
