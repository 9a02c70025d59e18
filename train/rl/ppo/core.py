"""PPO's arithmetic: pure functions over (sequences, steps) tensors, a step being one token that the policy sampled.

Schulman et al. 2017 (arXiv 1707.06347), GAE 2016 (arXiv 1506.02438), value clipping and KL control as in Ziegler et al.
2019 (arXiv 1909.08593). Tool tokens are no steps: they were taken out before (`train.rl.batch`).
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["KLController", "explained_variance", "gae", "masked_mean", "policy_loss", "shaped", "value_loss", "whiten"]


def shaped(rewards: Tensor, kl: Tensor, valid: Tensor, coefficient: float) -> Tensor:
    """Rewards of the steps: the KL penalty at each, and the episode's reward (sequences,) at the last.

    `kl`: the estimate log pi(a|s) - log pi_ref(a|s) of each step. `valid`: which steps there are, from the left.
    """
    steps = -coefficient * kl * valid
    last = valid.long().sum(1) - 1
    steps[torch.arange(len(steps), device=steps.device), last] += rewards
    return steps


def gae(rewards: Tensor, values: Tensor, valid: Tensor, *, gamma: float, lam: float) -> tuple[Tensor, Tensor]:
    """(advantages, returns) by generalized advantage estimation; after the last step there is nothing."""
    advantages = torch.zeros_like(rewards)
    running = torch.zeros_like(rewards[:, 0])
    following = torch.zeros_like(running)
    for t in range(rewards.shape[1] - 1, -1, -1):
        is_step = valid[:, t].to(rewards.dtype)
        delta = rewards[:, t] + gamma * following - values[:, t]
        running = (delta + gamma * lam * running) * is_step
        following = values[:, t] * is_step
        advantages[:, t] = running
    return advantages, (advantages + values) * valid


def whiten(advantages: Tensor, valid: Tensor) -> Tensor:
    """Mean 0 and variance 1 over all steps."""
    chosen = advantages[valid].double()
    mean, variance = chosen.mean(), chosen.var(unbiased=False)
    return ((advantages - mean) * torch.rsqrt(variance + 1e-8) * valid).to(advantages.dtype)


def policy_loss(new: Tensor, old: Tensor, advantages: Tensor, clip: float) -> tuple[Tensor, Tensor, Tensor]:
    """(loss, is clipped, approximate KL to the old policy) of each step."""
    log_ratio = new - old
    ratio = log_ratio.exp()
    plain, clipped = -advantages * ratio, -advantages * ratio.clamp(1 - clip, 1 + clip)
    return torch.maximum(plain, clipped), (clipped > plain).to(new.dtype), ratio - 1 - log_ratio


def value_loss(new: Tensor, old: Tensor, returns: Tensor, clip: float) -> Tensor:
    """Half the squared error of each step, at least that of a value that moved `clip` at most."""
    near = old + (new - old).clamp(-clip, clip)
    return 0.5 * torch.maximum((new - returns) ** 2, (near - returns) ** 2)


def masked_mean(values: Tensor, valid: Tensor) -> Tensor:
    """The mean over the steps; 0 where there are none."""
    return (values * valid).sum() / valid.sum().clamp(min=1)


def explained_variance(values: Tensor, returns: Tensor, valid: Tensor) -> float:
    """1 - Var(returns - values) / Var(returns) over the steps; 0 where the returns do not vary."""
    wanted, error = returns[valid], (returns - values)[valid]
    if wanted.numel() < 2 or float(wanted.var()) < 1e-12:
        return 0.0
    return 1.0 - float(error.var()) / float(wanted.var())


class KLController:
    """The coefficient of the KL penalty: fixed, or steered to a target KL an episode (Ziegler et al. 2019, 2.2)."""

    def __init__(self, coefficient: float, *, target: float | None = None, horizon: int = 10_000) -> None:
        self.coefficient, self.target, self.horizon = coefficient, target, horizon

    def update(self, kl: float, num_episodes: int) -> None:
        """Take in the mean KL, summed over an episode, of the last batch."""
        if self.target is not None:
            error = min(max(kl / self.target - 1.0, -0.2), 0.2)
            self.coefficient *= 1.0 + error * num_episodes / self.horizon
