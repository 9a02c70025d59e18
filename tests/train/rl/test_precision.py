"""Models that come in bfloat16: what is learned is float32, the passes are bfloat16, and what is written is theirs."""

from __future__ import annotations

import copy
from datetime import timedelta

import pytest
import torch
from accelerate.state import AcceleratorState
from transformers import AutoConfig, AutoModelForCausalLM, TrainerCallback

from policy.config import Settings
from policy.rollouts import Task
from tests.train.shapes import SHAPES, random_model, save_bf16
from train.precision import load, own_dtype, save
from train.rl.batch import Experience, collate, logprobs_and_entropy
from train.rl.config import RLSettings
from train.rl.gap import GapExceeded, check_gap
from train.rl.grpo.train import arguments_of, make_trainer
from train.rl.parallel import Actor, make_accelerator
from train.rl.ppo.critic import Critic, values
from train.rl.ppo.learner import Learner
from train.rl.setup import Inputs
from train.rl.tokens import Sequence

from .conftest import make_tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return make_tokenizer()


def checkpoint(shape, tokenizer, folder, **changed):
    return save_bf16(random_model(shape, tokenizer, **changed), tokenizer, folder / shape)


def learner_of(folder, **settings):
    """As `train_ppo` makes it."""
    checked = RLSettings.model_validate(settings)
    AcceleratorState._reset_state()  # a process has one precision; here it has several, one after the other
    accelerator = make_accelerator(checked, cpu=True)
    policy = load(str(folder))
    reference = load(str(folder), dtype=torch.bfloat16 if checked.precision == "bfloat16" else None)
    return Learner(policy, Critic.of(policy), reference, checked, accelerator)


def experience(model, ids, reward, length=6):
    """What the model itself says of a few tokens."""
    completion = [(7 * i + sum(ids)) % 300 for i in range(length)]
    sequence = Sequence(ids, completion, [1] * length, [0.0] * length)
    micro = collate([Experience(sequence, reward)], [0], "cpu")
    with torch.no_grad():
        logs, _ = logprobs_and_entropy(model, micro, 1.0)
    sequence.logprobs = logs[0].tolist()
    return Experience(sequence, reward)


def batch_of(learner):
    return [experience(learner.policy, [5, 6 + i], float(i % 2)) for i in range(8)]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_small_step_moves_every_weight_of_a_bfloat16_checkpoint(shape, tokenizer, tmp_path):
    """At a learning rate of 1e-6; in bfloat16 itself hardly one weight in fifty would move."""
    folder = checkpoint(shape, tokenizer, tmp_path)
    learner = learner_of(folder, lr=1e-6, precision="bfloat16", ppo={"minibatches": 1})
    assert {p.dtype for p in [*learner.policy.parameters(), *learner.critic.parameters()]} == {torch.float32}
    assert {p.dtype for p in learner.reference.parameters()} == {torch.bfloat16}
    before = copy.deepcopy(learner.policy.state_dict())
    figures = learner.update(batch_of(learner), 0)
    after = learner.policy.state_dict()
    used = [name for name in before if "embed" not in name and "lm_head" not in name]
    moved = [float((before[name] != after[name]).float().mean()) for name in used]
    assert min(moved) > 0.9
    assert figures["gap"] < 1e-4


def test_what_is_written_is_in_the_precision_that_came_and_loads(tokenizer, tmp_path):
    for tied in (True, False):
        folder = checkpoint("qwen2.5", tokenizer, tmp_path / str(tied), tied=tied)
        assert own_dtype(str(folder)) == "bfloat16"
        model = load(str(folder))
        assert model.dtype == torch.float32
        save(model, tokenizer, tmp_path / "out", dtype="bfloat16")
        again = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
        assert again.dtype == torch.bfloat16
        assert AutoConfig.from_pretrained(tmp_path / "out").dtype == torch.bfloat16
        assert again.config.tie_word_embeddings == tied
        begun = AutoModelForCausalLM.from_pretrained(folder).state_dict()
        assert all(torch.equal(value, begun[name]) for name, value in again.state_dict().items())


@pytest.mark.parametrize("shape", SHAPES)
def test_the_copy_that_samples_follows_the_learner_within_rounding(shape, tokenizer, tmp_path):
    folder = checkpoint(shape, tokenizer, tmp_path)
    learner = learner_of(folder, lr=1e-2, precision="bfloat16")
    config = AutoConfig.from_pretrained(folder)
    actor = Actor(learner.policy, learner.accelerator, learner.settings, config, cpu=True)
    actor.refresh()
    assert actor.model.dtype == torch.bfloat16
    batch = [experience(actor.model, [5, 6 + i], float(i % 2)) for i in range(8)]
    assert learner.update(batch, 0)["gap"] < 0.05
    # The learner has moved on, and who samples has not: that is what the bound is for.
    stale = [experience(actor.model, [5, 6 + i], float(i % 2)) for i in range(8)]

    def go_on():
        for step in range(1, 20):
            learner.update(stale, step)

    with pytest.raises(GapExceeded, match="differ by"):
        go_on()
    actor.refresh()
    assert learner.update([experience(actor.model, [5, 6 + i], float(i % 2)) for i in range(8)], 21)["gap"] < 0.05


def test_a_gap_that_only_warns_is_said_and_nan_is_over_every_bound():
    said = []
    check_gap({"gap": 0.5}, RLSettings(on_gap="warn"), said.append)
    assert "differ by 0.5 nats" in said[0]
    with pytest.raises(GapExceeded):
        check_gap({"gap": float("nan")}, RLSettings(), said.append)


@pytest.mark.parametrize("shape", SHAPES)
def test_packed_sequences_give_the_numbers_of_padded_ones(shape, tokenizer, tmp_path):
    model = load(str(checkpoint(shape, tokenizer, tmp_path)))
    rows = [
        Experience(Sequence([5, 6, 7][:n], [8, 9, 10, 11][: n + 1], [1, 0, 1, 1][: n + 1], [0.0] * (n + 1)), 0.0)
        for n in (1, 2, 3)
    ]
    critic = Critic.of(model)
    torch.nn.init.normal_(critic.head.weight)
    padded, packed = (collate(rows, [0, 1, 2], "cpu", packing=packing) for packing in (False, True))
    assert packed.ids.shape == (1, sum(len(row.tokens.ids) for row in rows))
    for of in (lambda m: logprobs_and_entropy(model, m, 1.0)[0], lambda m: values(critic, m)):
        torch.testing.assert_close(of(packed), of(padded), atol=1e-5, rtol=1e-5)


def test_checkpointed_activations_change_no_number(tokenizer, tmp_path):
    folder = checkpoint("qwen3", tokenizer, tmp_path)
    found = []
    for checkpointed in (False, True):
        learner = learner_of(folder, lr=1e-3, ppo={"minibatches": 1})
        for model in (learner.policy, learner.critic.backbone):
            model.train()
            if checkpointed:
                model.gradient_checkpointing_enable({"use_reentrant": False})
        learner.update(batch_of(learner), 0)
        found.append(learner.policy.state_dict())
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


@pytest.mark.parametrize("shape", SHAPES)
def test_a_bfloat16_run_learns_as_a_float32_one_does(shape, tokenizer, tmp_path):
    """A bandit on a transformer: the reward is one token's. Means over the last updates, within their spread."""
    folder = checkpoint(shape, tokenizer, tmp_path)
    chances = {}
    for precision in ("float32", "bfloat16"):
        learner = learner_of(
            folder, lr=1e-2, kl=0.0, precision=precision, ppo={"minibatches": 1, "epochs": 2, "critic_lr": 3e-3}
        )
        random = torch.Generator().manual_seed(0)
        curve = []
        for step in range(12):
            micro = collate([Experience(Sequence([5, 6], [7], [1], [0.0]), 0.0)], [0], "cpu")
            with torch.no_grad():
                logs = learner.policy(input_ids=micro.ids[:, :2], use_cache=False).logits[0, -1].float().log_softmax(-1)
            pulls = torch.multinomial(logs.exp(), 48, replacement=True, generator=random).tolist()
            wanted = [float(pull % 2) for pull in pulls]
            curve.append(sum(wanted) / len(wanted))
            batch = [
                Experience(Sequence([5, 6], [pull], [1], [float(logs[pull])]), reward)
                for pull, reward in zip(pulls, wanted, strict=True)
            ]
            learner.update(batch, step)
        chances[precision] = curve
    last = {name: sum(curve[-4:]) / 4 for name, curve in chances.items()}
    assert min(last.values()) > 0.8 > max(curve[0] for curve in chances.values())
    assert abs(last["float32"] - last["bfloat16"]) < 0.1


class _Bandit(TrainerCallback):
    """Stands where the episodes do: the model that samples in a real run says one token, whose parity is the reward."""

    def __init__(self, pulls, settings, config):
        self.pulls, self.settings, self.config = pulls, settings, config
        self.curve, self.actor = [], None

    def rollout(self, prompts, trainer):
        if self.actor is None:
            self.actor = Actor(trainer.model, trainer.accelerator, self.settings, self.config, cpu=True)
        self.actor.refresh()
        with torch.no_grad():
            logits = self.actor.model(input_ids=torch.tensor([[5, 6]]), use_cache=False).logits[0, -1]
        logs = logits.float().log_softmax(-1)
        pulled = torch.multinomial(logs.exp(), len(prompts), replacement=True, generator=self.pulls).tolist()
        self.curve.append(sum(pull % 2 for pull in pulled) / len(pulled))
        return {
            "prompt_ids": [[5, 6]] * len(pulled),
            "completion_ids": [[pull] for pull in pulled],
            "logprobs": [[float(logs[pull])] for pull in pulled],
            "env_mask": [[1]] * len(pulled),
            "judged": [float(pull % 2) for pull in pulled],
        }


@pytest.mark.training
@pytest.mark.parametrize("shape", SHAPES)
def test_grpo_in_bfloat16_learns_as_in_float32(shape, tokenizer, tmp_path):
    """The same bandit through TRL's trainer, as `train_grpo` makes it. What is learned stays float32."""
    folder = checkpoint(shape, tokenizer, tmp_path)
    inputs = Inputs(str(folder), tokenizer, [Task("pull", "Pull.", ())], Settings())
    curves = {}
    for name, precision, seed in (("float32", "float32", 0), ("bfloat16", "bfloat16", 0), ("again", "float32", 1)):
        AcceleratorState._reset_state()
        settings = RLSettings.model_validate(
            {
                "steps": 14, "tasks_per_step": 1, "group": 48, "lr": 1e-2, "kl": 0.0, "precision": precision,
                "save_every": 100, "seed": seed, "grpo": {"micro_episodes": 24, "iterations": 2},
            }
        )  # fmt: skip
        arguments = arguments_of(settings, tmp_path / name, inputs, 1, timedelta(minutes=5), cpu=True)
        bandit = _Bandit(torch.Generator().manual_seed(seed), settings, AutoConfig.from_pretrained(folder))
        trainer = make_trainer(load(str(folder)), inputs, settings, arguments, bandit)
        trainer.train()
        assert trainer.accelerator.mixed_precision == ("bf16" if precision == "bfloat16" else "no")
        assert {weight.dtype for weight in trainer.model.parameters()} == {torch.float32}
        curves[name] = bandit.curve
    last = {name: sum(curve[-3:]) / 3 for name, curve in curves.items()}
    print(shape, {name: [round(share, 2) for share in curve] for name, curve in curves.items()})
    assert min(last.values()) > 0.8 > max(curve[0] for curve in curves.values())
    assert abs(last["bfloat16"] - last["float32"]) < max(0.1, abs(last["again"] - last["float32"]))
