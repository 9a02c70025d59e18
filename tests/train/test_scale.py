"""The estimates: the doc's tables are the program's, and the shapes are the models' own."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, Qwen2Config

from train import scale
from train.scale import MODELS, Plan, memory, seconds

DOC = (Path(__file__).parents[2] / "docs" / "scale.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    (python -m train\.scale .*)$", DOC, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_figures_in_the_doc_are_what_the_command_prints(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert scale.main(command.split()[3:]) == 0
    printed = capsys.readouterr().out.strip()
    shown = DOC.split(f"    {command}\n\n")[1][: len(printed)]
    assert shown == printed


def test_the_doc_has_estimates_of_the_recipe_and_of_smaller_clusters() -> None:
    assert len(COMMANDS) == 3
    assert COMMANDS[0] == "python -m train.scale --model qwen2.5-32b --gpus 64"


@pytest.mark.parametrize("name", MODELS)
def test_parameters_are_those_of_the_model_as_transformers_builds_it(name: str) -> None:
    shape = MODELS[name]
    config = Qwen2Config(
        num_hidden_layers=shape.layers,
        hidden_size=shape.hidden,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        intermediate_size=shape.intermediate,
        vocab_size=shape.vocabulary,
        tie_word_embeddings=False,
    )
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    assert shape.parameters == sum(one.numel() for one in model.parameters())
    assert shape.head_dim * shape.heads == shape.hidden


def test_training_state_by_hand() -> None:
    shape, plan = MODELS["qwen2.5-32b"], Plan(gpus=64)
    held = memory(shape, plan)
    assert shape.parameters == 32_763_876_352
    assert held["policy: weights, gradients, Adam"] == 32_763_876_352 * (4 + 4 + 8) / 64
    assert shape.kv_bytes == 2 * 64 * 8 * 128 * 2
    assert held["training, peak"] > held["training, peak, what rests offloaded"]


def test_twice_the_gpus_halve_the_compute_and_the_sharded_state() -> None:
    shape, one, two = MODELS["qwen2.5-32b"], Plan(gpus=64), Plan(gpus=128)
    state = "critic: weights, gradients, Adam"
    assert memory(shape, one)[state] == 2 * memory(shape, two)[state]
    assert seconds(shape, one)["update: policy"] == pytest.approx(2 * seconds(shape, two)["update: policy"], rel=0.01)


def test_judging_overlaps_the_rollouts_until_it_is_slower_than_they_are() -> None:
    shape, plan = MODELS["qwen2.5-32b"], Plan()
    alone = dataclasses.replace(plan, judges=1)
    assert seconds(shape, plan)["judge, beyond the rollouts"] < 3
    slow = seconds(shape, alone)
    assert slow["judge, in all (overlapped)"] == pytest.approx(256 * 1.83)
    assert slow["judge, beyond the rollouts"] == pytest.approx(256 * 1.83 - slow["rollout"])


def test_what_does_not_fit_is_said_and_the_exit_code_tells(capsys: pytest.CaptureFixture[str]) -> None:
    assert scale.main(["--gpus", "8", "--tp", "1"]) == 1
    printed = capsys.readouterr().out
    assert "DOES NOT FIT: training, peak, what rests offloaded" in printed
    assert "DOES NOT FIT: a server's cache holds less than a row of 32,768 tokens" in printed


def test_gpus_that_make_no_whole_servers_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        scale.main(["--gpus", "10", "--tp", "4"])
    assert error.value.code == 2
    assert "--gpus 10 is no multiple of --tp 4" in capsys.readouterr().err
