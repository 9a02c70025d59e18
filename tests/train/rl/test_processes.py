"""PPO and GRPO in two processes: the figures and weights of one, and no process left waiting for the other."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from judger.client import connect
from tests.train.processes import together
from tests.train.shapes import random_model
from train.cli import main
from train.precision import load
from train.rl.batch import Experience
from train.rl.checkpoint import load_optimizer, optimizer_state
from train.rl.config import RLSettings, load_rl_settings
from train.rl.parallel import make_accelerator, whole_state
from train.rl.ppo.critic import Critic
from train.rl.ppo.learner import Learner
from train.rl.ppo.train import train_ppo
from train.rl.reward import JudgeLost, Rewards
from train.rl.setup import load_inputs
from train.rl.tokens import Sequence

from .conftest import CONFIG, Tiny, make_tokenizer
from .test_runs import arguments, curve, equal

SETTINGS = {
    "lr": 1e-3, "kl": 0.1, "gap_limit": 100.0, "micro_tokens": 24,
    "ppo": {"minibatches": 2, "epochs": 2, "critic_epochs": 2, "critic_lr": 1e-3, "kl_target": 0.5, "kl_horizon": 50},
}  # fmt: skip
COUNTS = (7, 1, 3)
"""Episodes of three batches: an odd number, fewer than there are processes, and one."""


def batch(count: int) -> list[Experience]:
    return [
        Experience(
            Sequence([5, 6 + i], [9 + i, 10, 11 + i][: 1 + i % 3], [1, i % 2, 1][: 1 + i % 3], [-6.0] * (1 + i % 3)),
            i / 3,
        )
        for i in range(count)
    ]


def learn(folder: str, **changed: Any) -> tuple[list[dict[str, float]], dict[str, torch.Tensor]]:
    """Three updates, with the optimizers written and read again in between."""
    settings = RLSettings.model_validate({**SETTINGS, **changed})
    accelerator = make_accelerator(settings, cpu=True)
    policy = load(folder)
    learner = Learner(policy, Critic.of(policy), load(folder), settings, accelerator)
    figures = []
    for step, count in enumerate(COUNTS):
        figures.append(learner.update(batch(count), step))
        state = optimizer_state(learner.optimizer)
        path = Path(folder) / f"optimizer-{accelerator.process_index}-{accelerator.num_processes}.safetensors"
        save_file(state, path)
        learner.optimizer.state.clear()
        load_optimizer(learner.optimizer, path)
    weights = {f"policy.{k}": v for k, v in whole_state(learner.policy, accelerator).items()}
    weights |= {f"critic.{k}": v for k, v in whole_state(learner.critic, accelerator).items()}
    return figures, {name: value.clone() for name, value in weights.items()}


def learn_to_file(folder: str, **changed: Any) -> list[dict[str, float]]:
    from accelerate import PartialState

    figures, weights = learn(folder, **changed)
    if PartialState().is_main_process:
        save_file({k: v.contiguous() for k, v in weights.items()}, Path(folder) / "learned.safetensors")
    return figures


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Untied: safetensors keeps the two matrices apart."""
    folder = tmp_path_factory.mktemp("qwen2.5")
    random_model("qwen2.5", make_tokenizer(), tied=False).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("sharded", [False, True], ids=["ddp", "fsdp2"])
def test_two_processes_learn_what_one_does(sharded: bool, model_folder: Path):
    """Figures, policy and critic, over steps with fewer episodes than processes, within 1e-5."""
    alone, weights = learn(str(model_folder))
    for figures in together(learn_to_file, str(model_folder), sharded=sharded):
        for one, other in zip(figures, alone, strict=True):
            assert one == pytest.approx(other, abs=1e-5)
    learned = load_file(model_folder / "learned.safetensors")
    assert learned.keys() == weights.keys()
    for name, value in learned.items():
        torch.testing.assert_close(value, weights[name], atol=1e-5, rtol=0)


def run_by_two_and_by_one(argv: Callable[..., list[str]], files: Path, *, sharded: bool, config: str) -> None:
    """The runs `two` and `one` of the settings `config`; `argv(out)` starts one."""
    # Cool enough that some episodes earn something: where none does, rounding is all there is to learn from.
    (files / "rl.toml").write_text(config.replace("temperature = 1.5", "temperature = 1.1"))
    assert together(main, argv("two"), sharded=sharded) == [0, 0]
    assert main(argv("one")) == 0


@pytest.mark.training
@pytest.mark.parametrize("sharded", [False, True], ids=["ddp", "fsdp2"])
def test_a_run_of_two_processes_has_the_curve_of_one(sharded: bool, files: Path, tiny: Tiny, judge: str):
    """Real episodes, judged: dealt to two processes they are the same ones. In shards a whole copy samples them."""
    config = CONFIG.replace("critic_average = 0.9", "") if sharded else CONFIG
    argv = partial(arguments, files, tiny, judge, steps="2", algo="ppo")
    run_by_two_and_by_one(argv, files, sharded=sharded, config=config)
    assert equal(curve(files / "two"), curve(files / "one"))
    AutoModelForCausalLM.from_pretrained(files / "two/model")


@pytest.mark.training
@pytest.mark.parametrize("sharded", [False, True], ids=["ddp", "fsdp2"])
def test_grpo_in_two_processes_has_the_rewards_of_one_and_writes_a_whole_model(
    sharded: bool, files: Path, tiny: Tiny, judge: str
):
    config = CONFIG.replace("tasks_per_step = 3", "tasks_per_step = 2")
    argv = partial(arguments, files, tiny, judge, steps="2", algo="grpo")
    run_by_two_and_by_one(argv, files, sharded=sharded, config=config)
    for two, one in zip(curve(files / "two"), curve(files / "one"), strict=True):
        for name in ("episodes", "reward", "kl_token", "sampled_tokens"):
            assert two[name] == pytest.approx(one[name], abs=1e-4), name
        assert two["gap"] < 1e-4
    found = AutoModelForCausalLM.from_pretrained(files / "two/model").state_dict()
    for name, value in AutoModelForCausalLM.from_pretrained(files / "one/model").state_dict().items():
        torch.testing.assert_close(found[name], value, atol=1e-4, rtol=0)


def lose_a_judge(folder: str, model: str, judge: str) -> str:
    """The second process asks where nobody is."""
    files = Path(folder)
    here, wait = (judge, 60.0) if os.environ["RANK"] == "0" else ("127.0.0.1:1", 0.5)
    inputs = load_inputs(model, files / "tasks.jsonl", files / "settings.json")
    settings = load_rl_settings(files / "rl.toml")
    try:
        train_ppo(inputs, settings, files / "run", Rewards(connect(here, max_attempts=1), wait=wait), cpu=True)
    except JudgeLost as error:
        return str(error)
    return ""


@pytest.mark.training
def test_a_judge_lost_by_one_process_ends_both(files: Path, tiny: Tiny, judge: str):
    first, second = together(lose_a_judge, str(files), str(tiny.folder), judge)
    assert "127.0.0.1:1" in second
    assert first == f"process 1: {second}"
