"""PPO's arithmetic against brute force and NumPy, and problems that it must solve."""

from __future__ import annotations

import copy
import functools
import operator
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from torch import nn

from judger.types import Criterion
from train.rl.batch import Experience, collate, logprobs_and_entropy, micro_batches
from train.rl.config import RLSettings
from train.rl.ppo import core
from train.rl.ppo.critic import Critic, rubric_text
from train.rl.ppo.learner import Learner
from train.rl.tokens import Sequence

from .conftest import make_model, make_tokenizer


class Bigrams(nn.Module):
    """The smallest causal model: the next token depends on the last one. Called as transformers' models are."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(size, size))

    def forward(self, input_ids, use_cache=False, logits_to_keep=None):
        logits = self.table[input_ids]
        return SimpleNamespace(logits=logits if logits_to_keep is None else logits[:, logits_to_keep])


STALE = {"gap_limit": 100.0}
"""For log-probabilities that were made up."""


class BigramValues(nn.Module):
    """A value for each last token."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(size))

    def forward(self, input_ids):
        return self.table[input_ids]


def make_learner(size=6, **settings):
    ppo = {"minibatches": 1, "critic_lr": 0.1, **settings.pop("ppo", {})}
    checked = RLSettings.model_validate({**STALE, "lr": 0.1, "kl": 0.0, **settings, "ppo": ppo})
    return Learner(Bigrams(size), BigramValues(size), Bigrams(size), checked, Accelerator(cpu=True))


def sample(model, start, length, random):
    ids = [start]
    logprobs = []
    for _ in range(length):
        logs = model.table[ids[-1]].detach().log_softmax(-1)
        ids.append(int(torch.multinomial(logs.exp(), 1, generator=random)))
        logprobs.append(float(logs[ids[-1]]))
    return Sequence(ids[:1], ids[1:], [1] * length, logprobs)


@pytest.mark.parametrize(("gamma", "lam"), [(1.0, 1.0), (0.9, 0.95), (0.99, 0.0)])
def test_gae_is_the_brute_force_sum(gamma, lam):
    random = np.random.default_rng(0)
    lengths = [5, 1, 3]
    rewards, values = random.normal(size=(3, 5)), random.normal(size=(3, 5))
    valid = np.array([[t < n for t in range(5)] for n in lengths])
    advantages, returns = core.gae(
        torch.tensor(rewards), torch.tensor(values), torch.tensor(valid), gamma=gamma, lam=lam
    )
    for i, n in enumerate(lengths):
        for t in range(n):
            deltas = [
                rewards[i, s] + (gamma * values[i, s + 1] if s + 1 < n else 0.0) - values[i, s] for s in range(t, n)
            ]
            expected = sum((gamma * lam) ** k * delta for k, delta in enumerate(deltas))
            assert advantages[i, t].item() == pytest.approx(expected)
            assert returns[i, t].item() == pytest.approx(expected + values[i, t])
        assert not advantages[i, n:].any()


def test_with_gamma_and_lambda_1_the_return_is_the_terminal_reward():
    valid = torch.tensor([[True, True, True], [True, False, False]])
    rewards = core.shaped(torch.tensor([0.7, -0.2]), torch.zeros(2, 3), valid, 0.0)
    _, returns = core.gae(rewards, torch.randn(2, 3), valid, gamma=1.0, lam=1.0)
    assert torch.allclose(returns, torch.tensor([[0.7, 0.7, 0.7], [-0.2, 0.0, 0.0]]), atol=1e-6)


def test_the_kl_penalty_falls_on_each_step_and_the_reward_on_the_last():
    valid = torch.tensor([[True, True, False]])
    found = core.shaped(torch.tensor([1.0]), torch.tensor([[0.5, -0.5, 9.0]]), valid, 0.1)
    assert torch.allclose(found, torch.tensor([[-0.05, 1.05, 0.0]]))


def test_whitening_is_over_all_steps_and_no_padding():
    valid = torch.tensor([[True, True], [True, False]])
    whole = core.whiten(torch.tensor([[1.0, 2.0], [3.0, 99.0]]), valid)
    assert whole[valid].mean().item() == pytest.approx(0.0, abs=1e-6)
    assert whole[valid].var(unbiased=False).item() == pytest.approx(1.0, abs=1e-5)
    assert whole[1, 1] == 0


def test_the_kl_controller_steers_towards_its_target():
    fixed, steered = core.KLController(0.1), core.KLController(0.1, target=2.0, horizon=100)
    for controller in (fixed, steered):
        controller.update(4.0, 10)
    assert fixed.coefficient == 0.1
    assert steered.coefficient == pytest.approx(0.1 * 1.02)


def test_explained_variance_of_a_perfect_a_constant_and_no_critic():
    returns, valid = torch.tensor([[1.0, 2.0, 3.0]]), torch.ones(1, 3, dtype=torch.bool)
    assert core.explained_variance(returns, returns, valid) == 1.0
    assert core.explained_variance(torch.ones(1, 3), returns, valid) == pytest.approx(0.0)
    assert core.explained_variance(-returns, returns, valid) < 0


def test_tool_tokens_are_no_steps():
    tokens = Sequence([1, 2], [3, 4, 5, 6], [1, 0, 0, 1], [-0.1, 0.0, 0.0, -0.2])
    micro = collate([Experience(tokens, 1.0)], [0], "cpu")
    assert micro.places.tolist() == [[1, 4]]
    assert micro.targets.tolist() == [[3, 6]]


def test_micro_batches_hold_all_rows_once_and_keep_to_their_tokens():
    rows = [Experience(Sequence([1] * n, [2], [1], [0.0]), 0.0) for n in (9, 1, 5, 30, 4, 4)]
    groups = list(micro_batches(rows, range(6), 16))
    assert sorted(functools.reduce(operator.iadd, groups, [])) == list(range(6))
    assert all(len(g) == 1 or len(g) * max(len(rows[r].tokens.ids) for r in g) <= 16 for g in groups)


def test_micro_batched_log_probabilities_are_those_of_each_sequence_alone():
    torch.manual_seed(0)
    tokenizer = make_tokenizer()
    model = make_model(tokenizer).eval()
    rows = [
        Experience(Sequence([5, 6, 7][:n], [8, 9, 10, 11][: n + 1], [1, 0, 1, 1][: n + 1], [0.0] * (n + 1)), 0.0)
        for n in (1, 2, 3)
    ]
    micro = collate(rows, [0, 1, 2], "cpu")
    found, entropy = logprobs_and_entropy(model, micro, 1.0)
    for i, row in enumerate(rows):
        logs = model(torch.tensor([row.tokens.ids])).logits[0].log_softmax(-1)
        start = len(row.tokens.prompt_ids) - 1
        expected = [logs[start + k, token] for k, token in enumerate(row.tokens.completion_ids) if row.tokens.mask[k]]
        assert torch.allclose(found[i][micro.valid[i]], torch.stack(expected), atol=1e-5)
    assert (entropy[micro.valid] > 0).all()


def test_distributions_worked_out_in_pieces_give_the_same_gradient():
    torch.manual_seed(0)
    model = make_model(make_tokenizer())
    rows = [Experience(Sequence([5, 6], [8, 9, 10, 11][:n], [1] * n, [0.0] * n), 0.0) for n in (4, 3)]
    micro = collate(rows, [0, 1], "cpu")
    found = []
    for piece in (100, 3):
        model.zero_grad()
        logs, entropy = logprobs_and_entropy(model, micro, 0.7, piece=piece)
        (logs.sum() + 0.1 * entropy.sum()).backward()
        found.append((logs.detach(), entropy.detach(), model.model.embed_tokens.weight.grad.clone()))
    for whole, pieces in zip(*found, strict=True):
        torch.testing.assert_close(pieces, whole, atol=1e-6, rtol=1e-5)


def test_one_update_is_that_of_the_numpy_reference():
    """Policy and critic, two sequences of different lengths, stale log-probabilities on both sides of the clip."""
    learner = make_learner(size=4, ppo={"whiten": True, "entropy_bonus": 0.01}, kl=0.05, max_grad_norm=0.5)
    theta = np.random.default_rng(1).normal(size=(4, 4))
    with torch.no_grad():
        learner.policy.table.copy_(torch.tensor(theta, dtype=torch.float32))
        learner.critic.table.copy_(torch.tensor([0.1, -0.2, 0.3, 0.0]))
    sequences = [([0], [1, 2, 3], [-0.5, -2.5, -1.2], 1.0), ([3], [2], [-1.6], -0.5)]
    learner.update([Experience(Sequence(p, c, [1] * len(c), o), r) for p, c, o, r in sequences], 0)

    logs = theta - np.log(np.exp(theta).sum(1, keepdims=True))
    chances = np.exp(logs)
    value = np.array([0.1, -0.2, 0.3, 0.0])
    steps = []  # (previous, token, old, advantage, return)
    for prompt, completion, old, reward in sequences:
        previous = [*prompt, *completion[:-1]]
        shaped = [-0.05 * (o - np.log(0.25)) for o in old]
        shaped[-1] += reward
        for t in range(len(completion)):
            total = sum(shaped[t:])
            steps.append((previous[t], completion[t], old[t], total - value[previous[t]], total))
    advantages = np.array([step[3] for step in steps])
    advantages = (advantages - advantages.mean()) / np.sqrt(advantages.var() + 1e-8)
    gradient, value_gradient = np.zeros((4, 4)), np.zeros(4)
    for (previous, token, old, _, wanted), advantage in zip(steps, advantages, strict=True):
        ratio = np.exp(logs[previous, token] - old)
        is_clipped = (advantage > 0 and ratio > 1.2) or (advantage < 0 and ratio < 0.8)
        one = np.eye(4)[token] - chances[previous]
        if not is_clipped:
            gradient[previous] -= advantage * ratio * one / len(steps)
        entropy = -(chances[previous] * logs[previous]).sum()
        gradient[previous] += 0.01 * chances[previous] * (logs[previous] + entropy) / len(steps)
        value_gradient[previous] += (value[previous] - wanted) / len(steps)

    def adam(weights, gradient, lr):
        gradient = gradient * min(1.0, 0.5 / (np.linalg.norm(gradient) + 1e-6))
        first, second = (1 - 0.9) * gradient, (1 - 0.95) * gradient**2
        return weights - lr * (first / (1 - 0.9)) / (np.sqrt(second / (1 - 0.95)) + 1e-8)

    assert np.allclose(learner.policy.table.detach().numpy(), adam(theta, gradient, 0.1), atol=1e-5)
    assert np.allclose(learner.critic.table.detach().numpy(), adam(value, value_gradient, 0.1), atol=1e-5)


def test_it_solves_a_bandit():
    learner, random = make_learner(ppo={"epochs": 2, "critic_epochs": 2}), torch.Generator().manual_seed(0)
    for step in range(40):
        pulls = [sample(learner.policy, 0, 1, random) for _ in range(32)]
        learner.update([Experience(pull, 1.0 if pull.completion_ids == [4] else 0.0) for pull in pulls], step)
    assert float(learner.policy.table.detach()[0].softmax(-1)[4]) > 0.9


def test_it_solves_a_chain_whose_only_reward_is_at_its_end():
    """0 -> 1 -> 2 -> 3 earns 1, all else what share of the way was right, told at the end alone."""
    learner, random = make_learner(size=4, ppo={"epochs": 2, "critic_epochs": 2}), torch.Generator().manual_seed(0)
    explained = []
    for step in range(80):
        walks = [sample(learner.policy, 0, 3, random) for _ in range(48)]
        batch = [
            Experience(w, sum(a == b for a, b in zip(w.completion_ids, (1, 2, 3), strict=True)) / 3) for w in walks
        ]
        explained.append(learner.update(batch, step)["explained_variance"])
    chance = np.prod([float(learner.policy.table.detach()[a].softmax(-1)[a + 1]) for a in range(3)])
    assert chance > 0.8


def test_policy_and_critic_learn_the_same_side_by_side_as_one_after_the_other():
    """With one thread to compute with they learn in threads of their own."""
    batch = [
        Experience(Sequence([0], [1, 2], [1, 1], [-1.8, -1.8]), 1.0),
        Experience(Sequence([0], [3], [1], [-1.8]), 0.0),
    ]
    threads, found = torch.get_num_threads(), []
    try:
        for number in (1, 2):
            torch.set_num_threads(number)
            learner = make_learner(ppo={"epochs": 2, "critic_epochs": 3, "minibatches": 2}, kl=0.1)
            figures = [learner.update(batch, step) for step in range(3)]
            found.append((figures, learner.policy.table.detach(), learner.critic.table.detach()))
    finally:
        torch.set_num_threads(threads)
    assert found[0][0] == found[1][0]
    assert {"policy_loss", "value_loss", "grad_norm", "critic_grad_norm"} <= found[0][0][0].keys()
    assert all(torch.equal(*pair) for pair in zip(found[0][1:], found[1][1:], strict=True))


def test_only_the_critic_learns_while_it_warms_up():
    learner = make_learner(ppo={"critic_warmup": 1})
    batch = [Experience(Sequence([0], [1, 2], [1, 1], [-1.8, -1.8]), 1.0)]
    learner.update(batch, 0)
    assert not learner.policy.table.any()
    assert learner.critic.table.any()
    learner.update(batch * 2 + [Experience(Sequence([0], [3], [1], [-1.8]), 0.0)], 1)
    assert learner.policy.table.any()


def test_the_critic_explains_fresh_episodes_whose_reward_shows_in_their_tokens():
    """A transformer's critic, told at the end only, on episodes it has not seen."""
    torch.manual_seed(0)
    tokenizer = make_tokenizer()
    model = make_model(tokenizer, hidden=32).eval()
    settings = RLSettings.model_validate(
        {**STALE, "lr": 1e-9, "kl": 0.0, "ppo": {"critic_lr": 3e-3, "value_clip": 10.0}}
    )
    learner = Learner(copy.deepcopy(model), Critic.of(model), model, settings, Accelerator(cpu=True))
    random = np.random.default_rng(0)

    def episode():
        good = int(random.integers(2))
        ids = [int(t) for t in random.integers(10, 200, 6)]
        return Experience(Sequence(ids, [300 + good, *ids[:4]], [1] * 5, [-3.0] * 5), float(good))

    explained = [learner.update([episode() for _ in range(32)], step)["explained_variance"] for step in range(14)]
    assert abs(explained[0]) < 0.1
    assert explained[-1] > 0.5


def test_a_critic_that_sees_the_rubric_explains_what_only_the_rubric_tells():
    """The reward is what the rubric says of the token that was written; every episode's prompt is the same."""
    explained = {}
    for sees_rubric in (False, True):
        torch.manual_seed(0)
        tokenizer = make_tokenizer()
        model = make_model(tokenizer, hidden=32).eval()
        ppo = {"critic_lr": 3e-3, "value_clip": 10.0, "critic_sees_rubric": sees_rubric}
        settings = RLSettings.model_validate({**STALE, "lr": 1e-9, "kl": 0.0, "ppo": ppo})
        learner = Learner(copy.deepcopy(model), Critic.of(model), model, settings, Accelerator(cpu=True))
        random = np.random.default_rng(0)

        def episode(random=random):
            is_wanted = int(random.integers(2))
            return Experience(Sequence([7, 8], [300, 9], [1, 1], [-3.0] * 2), float(is_wanted), (400 + is_wanted, 5))

        found = [learner.update([episode() for _ in range(32)], step)["explained_variance"] for step in range(14)]
        explained[sees_rubric] = found[-1]
    assert explained[False] < 0.1
    assert explained[True] > 0.9


def test_the_rubric_is_for_the_critic_alone():
    """A first update, in which every value is 0, moves a policy that reads all that stands before a token alike."""
    torch.manual_seed(0)
    model = make_model(make_tokenizer(), hidden=32).eval()
    moved = []
    for sees_rubric in (False, True):
        settings = RLSettings.model_validate(
            {**STALE, "lr": 1e-3, "kl": 0.1, "ppo": {"critic_sees_rubric": sees_rubric}}
        )
        policy, reference = copy.deepcopy(model), copy.deepcopy(model)
        learner = Learner(policy, Critic.of(model), reference, settings, Accelerator(cpu=True))
        batch = [
            Experience(Sequence([10, 11], [12, 13], [1, 1], [-1.8, -1.8]), 1.0, (14, 15)),
            Experience(Sequence([10, 11], [16, 13], [1, 1], [-1.8, -1.8]), 0.0, (15,)),
        ]
        learner.update(batch, 0)
        moved.append(learner.policy.model.embed_tokens.weight.detach())
    assert not torch.equal(moved[0], model.model.embed_tokens.weight)
    assert torch.equal(*moved)


def test_values_come_from_the_average_of_the_critics_weights():
    """Two optimizer steps, by hand: the first is taken over, of the second 1 - 0.2 (one update before) comes in."""
    learner = make_learner(ppo={"critic_average": 0.9, "critic_warmup": 9})
    batch = [Experience(Sequence([0], [1], [1], [-1.8]), 1.0), Experience(Sequence([0], [2], [1], [-1.8]), 0.5)]
    learner.update(batch, 0)
    first = learner.critic.table.detach().clone()
    assert torch.equal(learner.average.module.table, first)
    learner.update(batch, 1)
    second = learner.critic.table.detach().clone()
    assert not torch.equal(first, second)
    assert torch.allclose(learner.average.module.table, first + 0.8 * (second - first))
    value = learner.update(batch, 2)["value_mean"]
    assert value == pytest.approx(float(first[0] + 0.8 * (second[0] - first[0])))


def test_the_rubric_as_the_critic_reads_it():
    criteria = [
        Criterion(id="a", text="Opened in 1790.", weight=5),
        Criterion(id="b", text="Opened in 1770.", weight=-2.5),
    ]
    assert rubric_text(criteria) == " opened in 1790+5\n opened in 1770-2.5\n"
