"""One PPO update: a batch of judged episodes in, a better policy and critic out. Nothing here runs an episode."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from train.rl.batch import Experience, Micro, collate, dealt, logprobs_and_entropy, passed, sampled_logprobs
from train.rl.collect import means
from train.rl.config import RLSettings
from train.rl.episodes import seed_of
from train.rl.gap import check_gap, gap_of
from train.rl.parallel import hold_still, is_sharded
from train.rl.ppo import core
from train.rl.ppo.critic import averaged, parameters_of, values

__all__ = ["Learner"]

_Steps = list[dict[str, float]]
"""The figures of each optimizer step."""


@dataclass(frozen=True, slots=True)
class _Read:
    """What is known of a batch before the update, each (experiences, steps)."""

    old: Tensor
    values: Tensor
    returns: Tensor
    advantages: Tensor
    valid: Tensor


class Learner:
    """Holds policy, critic and its average, frozen reference and both optimizers.

    Every process is given the whole batch and passes its share of it through the models; what it finds is shared, so
    that figures, advantages and steps are those of one process that did all of it.
    """

    def __init__(
        self,
        policy: Any,
        critic: nn.Module,
        reference: Any,
        settings: RLSettings,
        accelerator: Accelerator,
        say: Callable[[str], None] = print,
    ) -> None:
        self.settings, self.accelerator, self.say = settings, accelerator, say
        adam: dict[str, Any] = {"betas": (0.9, 0.95), "eps": 1e-8, "weight_decay": 0.0}
        optimizer = torch.optim.AdamW(parameters_of(policy), lr=settings.lr, **adam)
        critic_optimizer = torch.optim.AdamW(parameters_of(critic), lr=settings.ppo.critic_lr, **adam)
        # One after the other: FSDP2 takes a model with its optimizer.
        self.policy, self.optimizer = accelerator.prepare(policy, optimizer)
        self.critic, self.critic_optimizer = accelerator.prepare(critic, critic_optimizer)
        self.average: AveragedModel | None = None
        if settings.ppo.critic_average:
            self.average = averaged(accelerator.unwrap_model(self.critic), settings.ppo.critic_average)
        self.reference = hold_still(reference, accelerator)
        self.kl = core.KLController(settings.kl, target=settings.ppo.kl_target, horizon=settings.ppo.kl_horizon)

    def update(self, experiences: Sequence[Experience], step: int) -> dict[str, float]:
        """Learn from a batch; its figures. `step` counts from 0, and with the seed decides the order of minibatches.

        Raises GapExceeded before anything is learned where sampler and learner are too far apart.
        """
        settings = self.settings
        # The critic's view of the same steps.
        seen = [one.with_rubric() for one in experiences] if settings.ppo.critic_sees_rubric else experiences
        read, figures = self._read(experiences, seen)
        check_gap(figures, settings, self.say)
        self._set_rates(step - settings.ppo.critic_warmup)
        both = partial(self._learn_policy, experiences, read, step), partial(self._learn_values, seen, read, step)
        for steps in self._run(both):
            figures |= means(steps)
        # The coefficient for the next batch follows from this one.
        self.kl.update(figures["kl"], len(experiences))
        return figures

    def _run(self, parts: Sequence[Callable[[], _Steps]]) -> list[_Steps]:
        """What the parts come to. They share nothing but what was read, so a process that computes with one thread runs
        them side by side; on a device or among other processes their order has to be the same everywhere."""
        is_alone = self.accelerator.device.type == "cpu" and self.accelerator.num_processes == 1
        if not is_alone or torch.get_num_threads() > 1:
            return [part() for part in parts]
        with ThreadPoolExecutor(len(parts)) as threads:
            return list(threads.map(lambda part: part(), parts))

    @torch.no_grad()
    def _read(self, experiences: Sequence[Experience], seen: Sequence[Experience]) -> tuple[_Read, dict[str, float]]:
        """Log-probabilities of learner and reference, values, advantages; the old ones are those of the sampling."""
        settings, accelerator, device = self.settings, self.accelerator, self.accelerator.device
        old, valid = sampled_logprobs(experiences, device)
        critic = self.critic if self.average is None else self.average

        def logprobs(model: Any) -> Callable[[Micro], Tensor]:
            return lambda micro: logprobs_and_entropy(model, micro, settings.temperature)[0]

        learned = passed(experiences, logprobs(self.policy), old, settings, accelerator)
        reference = passed(experiences, logprobs(self.reference), old, settings, accelerator)
        predicted = passed(seen, lambda micro: values(critic, micro), old, settings, accelerator)
        rewards = torch.tensor([one.reward for one in experiences], device=device)
        ppo, coefficient = settings.ppo, self.kl.coefficient
        kl = (old - reference) * valid
        shaped = core.shaped(rewards, kl, valid, coefficient)
        advantages, returns = core.gae(shaped, predicted, valid, gamma=ppo.gamma, lam=ppo.lam)
        explained = core.explained_variance(predicted, returns, valid)
        if ppo.whiten:
            advantages = core.whiten(advantages, valid)
        figures = {
            "kl": float(kl.sum(1).mean()),
            "kl_token": float(core.masked_mean(kl, valid)),
            "kl_coefficient": coefficient,
            "explained_variance": explained,
            "value_mean": float(core.masked_mean(predicted, valid)),
            "return_mean": float(core.masked_mean(returns, valid)),
            **gap_of(old, learned, valid),
        }
        return _Read(old, predicted, returns, advantages, valid), figures

    def _learn_policy(self, experiences: Sequence[Experience], read: _Read, step: int) -> _Steps:
        """The policy's passes over the batch: the figures of each optimizer step. None while the critic warms up."""
        ppo = self.settings.ppo
        epochs = ppo.epochs if step >= ppo.critic_warmup else 0

        def loss(micro: Micro, here: tuple[list[int], slice]) -> tuple[Tensor, dict[str, Tensor]]:
            new, entropy = logprobs_and_entropy(self.policy, micro, self.settings.temperature)
            found, clipped, moved = core.policy_loss(new, read.old[here], read.advantages[here], ppo.clip)
            parts = {"policy_loss": found, "entropy": entropy, "clip_fraction": clipped, "kl_to_old": moved}
            return found - ppo.entropy_bonus * entropy, parts

        return [
            self._optimize(self.policy, self.optimizer, experiences, rows, read, loss, "grad_norm")
            for rows in self._minibatches(len(experiences), step, epochs)
        ]

    def _learn_values(self, experiences: Sequence[Experience], read: _Read, step: int) -> _Steps:
        """The critic's passes over the batch: the figures of each optimizer step."""

        def loss(micro: Micro, here: tuple[list[int], slice]) -> tuple[Tensor, dict[str, Tensor]]:
            new = values(self.critic, micro)
            found = core.value_loss(new, read.values[here], read.returns[here], self.settings.ppo.value_clip)
            return found, {"value_loss": found}

        critic, optimizer = self.critic, self.critic_optimizer
        steps: _Steps = []
        for rows in self._minibatches(len(experiences), step, self.settings.ppo.critic_epochs):
            steps.append(self._optimize(critic, optimizer, experiences, rows, read, loss, "critic_grad_norm"))
            if self.average is not None:
                self.average.update_parameters(self.accelerator.unwrap_model(critic))
        return steps

    def _optimize(
        self,
        model: nn.Module,
        optimizer: Any,
        experiences: Sequence[Experience],
        rows: list[int],
        read: _Read,
        loss: Any,
        norm: str,
    ) -> dict[str, float]:
        """One optimizer step over a minibatch: the mean over its tokens in all processes; its figures."""
        accelerator = self.accelerator
        groups = dealt(experiences, rows, self.settings, accelerator)
        count = read.valid[rows].sum().float().clamp(min=1)
        totals: dict[str, Tensor] = {}
        for number, (group, counts) in enumerate(groups):
            micro = collate(experiences, group, accelerator.device, packing=self.settings.packing)
            # Sharded gradients are shared at every pass: kept back, they would be whole in every process.
            is_shared = number == len(groups) - 1 or is_sharded(accelerator)
            with nullcontext() if is_shared else accelerator.no_sync(model):
                found, parts = loss(micro, (group, slice(0, micro.valid.shape[1])))
                # Gradients are averaged over processes, so that the sum is brought back by their number.
                share = (found * micro.valid).sum() / count * accelerator.num_processes
                accelerator.backward(share if counts else share * 0.0)
            for name, part in parts.items():
                one = (part.detach() * micro.valid).sum() * float(counts)
                totals[name] = totals.get(name, count.new_zeros(())) + one
        gradient = nn.utils.clip_grad_norm_(parameters_of(model), self.settings.max_grad_norm)
        if hasattr(gradient, "full_tensor"):
            gradient = gradient.full_tensor()
        optimizer.step()
        optimizer.zero_grad()
        figures = {name: float(accelerator.reduce(total, "sum") / count) for name, total in totals.items()}
        return figures | {norm: float(gradient)}

    def _minibatches(self, count: int, step: int, epochs: int) -> Iterator[list[int]]:
        parts = self.settings.ppo.minibatches
        for epoch in range(epochs):
            random = torch.Generator().manual_seed(seed_of(self.settings.seed, "minibatches", step, epoch))
            order = torch.randperm(count, generator=random)
            for part in torch.tensor_split(order, min(parts, count)):
                yield part.tolist()

    def _set_rates(self, step: int) -> None:
        share = min(1.0, (step + 1) / (self.settings.warmup + 1)) if step >= 0 else 0.0
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.lr * share
