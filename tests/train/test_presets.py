"""The presets: their keys, the sizes they are chosen by, and the figures that the docs show."""

from __future__ import annotations

import re
from argparse import Namespace
from pathlib import Path

import pytest
from transformers import Qwen2Config

from train import scale
from train.cli import build_parser
from train.lm.training import Options, options_of, preset_of
from train.presets import NAMES, fitting, preset
from train.rl.config import load_rl_settings

DOC = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
STAGES = (("midtrain", "1"), ("midtrain", "2"), ("sft",))
OTHERS = {"context", "packing", "lora_learning_rate"}


@pytest.mark.parametrize("name", NAMES)
def test_every_key_is_an_option_of_its_stage(name: str) -> None:
    for stage in STAGES:
        assert preset(name, *stage).keys() <= Options.__dataclass_fields__.keys() | OTHERS
    for algo in ("ppo", "grpo"):
        load_rl_settings(None, preset=name, algo=algo)  # unknown keys are refused


def parsed(*command: str) -> Namespace:
    return build_parser().parse_args([*command, "--data", "d", "--out", "o"])


def test_what_is_given_goes_before_the_preset(tmp_path: Path) -> None:
    command = parsed("sft", "--model", "m", "--preset", "7b", "--learning-rate", "3e-6", "--no-gradient-checkpointing")
    options = options_of(command, preset_of(command, "sft"))
    assert (options.learning_rate, options.accumulate, options.gradient_checkpointing) == (3e-6, 2, False)
    config = tmp_path / "rl.toml"
    config.write_text("lr = 2e-6\n[ppo]\nminibatches = 2\n")
    settings = load_rl_settings(config, preset="7b", steps=3)
    assert (settings.lr, settings.steps, settings.ppo.minibatches, settings.ppo.critic_warmup) == (2e-6, 3, 2, 10)


@pytest.mark.parametrize(("layers", "hidden", "name"), [(2, 64, "tiny"), (28, 3584, "7b"), (64, 5120, "32b")])
def test_a_model_without_a_word_gets_the_preset_of_its_size(
    layers: int, hidden: int, name: str, tmp_path: Path
) -> None:
    Qwen2Config(
        num_hidden_layers=layers, hidden_size=hidden, intermediate_size=5 * hidden, vocab_size=152064 // (layers // 2)
        if name == "tiny" else 152064, num_attention_heads=hidden // 64, num_key_value_heads=1,
    ).save_pretrained(tmp_path)  # fmt: skip
    assert fitting(str(tmp_path)) == name


@pytest.mark.parametrize("name", sorted(scale.PRESET_GPUS))
def test_the_memory_in_the_docs_is_what_the_command_prints_and_fits(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert scale.main(["--preset", name]) == 0
    printed = capsys.readouterr().out.strip()
    assert printed in DOC
    assert all(float(total) < 76 for total in re.findall(r"\| ([\d.]+) GB \|$", printed, re.MULTILINE))
