"""What a critic of the demo's size can see of an episode's reward: variants of it, trained and measured offline.

    python -m tests.benchmarks.critic collect --demo runs/train-demo --addr HOST:PORT -o episodes.jsonl
    python -m tests.benchmarks.critic compare --demo runs/train-demo --episodes episodes.jsonl

`collect` has the demo's SFT model write episodes on its training tasks and has them judged; `compare` trains each
variant on the first of them, as PPO's warm-up would, and gives the variance that it explains of the last ones, which
it has not seen. Nothing of the policy changes, so the variants are compared on the same numbers.
"""

from __future__ import annotations

import argparse
import asyncio
import copy
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from train.rl.batch import Experience, Micro, collate, micro_batches
from train.rl.collect import collect, orders_of, tasks_of
from train.rl.episodes import Episodes
from train.rl.ppo import core
from train.rl.ppo.critic import Critic, averaged, values
from train.rl.ppo.train import experiences_of
from train.rl.reward import Rewards
from train.rl.sampler import Sampler
from train.rl.setup import load_inputs, load_model
from train.rl.tokens import Sequence as Tokens

__all__ = ["main"]


async def _collect(args: argparse.Namespace) -> None:
    from judger.client import connect
    from judger.types import Mapping, Options

    demo = args.demo
    inputs = load_inputs(str(demo / "models/sft"), demo / "data/tasks.jsonl", demo / "data/settings.toml", os.environ)
    rewards = Rewards(connect(args.addr), wait=600.0, options=Options(mapping=Mapping.EXPECTED))
    sampler = Sampler(load_model(inputs.model), inputs.tokenizer, turn_tokens=96)
    with args.out.open("a", encoding="utf-8") as out:
        async with inputs.open_shared() as shared:
            episodes = Episodes(inputs.settings, shared, sampler)
            for step in range(args.first, args.first + args.batches):
                orders = orders_of(tasks_of(inputs.tasks, step, 32, args.seed), 2, step, args.seed)
                batch = await collect(episodes, rewards, orders)
                found = experiences_of(batch.judged, inputs.tokenizer)
                for one in found:
                    out.write(json.dumps(asdict(one)) + "\n")
                out.flush()
                print(
                    f"batch {step}: {len(found)} sequences, reward {fmean(one.reward for one in found):.3f}", flush=True
                )
    sampler.close()


def read(path: Path) -> list[Experience]:
    """The judged sequences, in the order they were sampled."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [Experience(Tokens(**row["tokens"]), row["reward"], tuple(row["rubric_ids"])) for row in rows]


@dataclass(frozen=True, slots=True)
class Variant:
    """How a critic is trained. The defaults are those of the preset `tiny`."""

    lr: float = 5e-4
    passes: int = 2
    average: float = 0.98
    end: float = 0.0
    """Share of the loss that is on the last token of each episode, where the whole report has been written."""
    batches: int | None = None
    """Of 64 episodes, the last ones before those that are measured on; all of them without it."""
    own_head: bool = False
    """The tokens of the last reply, the report's, have a head of their own."""


VARIANTS = {
    "shipped: 4 batches of warm-up": Variant(batches=4),
    "longer warm-up: all batches": Variant(),
    "all, four passes": Variant(passes=4),
    "all, half the loss on the report's end": Variant(end=0.5),
    "all, the loss on the report's end alone": Variant(end=1.0),
    "all, a head of its own for the report": Variant(own_head=True),
}


class TwoHeaded(Critic):
    """A second head for the tokens of an episode's last reply. `late` (B, L) says which those are."""

    def __init__(self, backbone: nn.Module, hidden: int) -> None:
        super().__init__(backbone, hidden)
        self.last = nn.Linear(hidden, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, late: Tensor | None = None, **inputs: Tensor) -> Tensor:
        states = self.backbone(**inputs, use_cache=False).last_hidden_state
        first, last = self.head(states)[..., 0], self.last(states)[..., 0]
        return first if late is None else torch.where(late, last, first)


def late_of(experiences: Sequence[Experience], micro: Micro) -> Tensor:
    """(B, L): the columns from the one before an episode's last reply on."""
    late = torch.zeros(micro.ids.shape, dtype=torch.bool)
    for line, row in enumerate(micro.rows):
        tokens = experiences[row].tokens
        masked = [place for place, sampled in enumerate(tokens.mask) if not sampled]
        late[line, len(tokens.prompt_ids) + (masked[-1] if masked else -1) :] = True
    return late


def said(critic: nn.Module, experiences: Sequence[Experience], micro: Micro) -> Tensor:
    """(B, T) values before each sampled token."""
    inner = critic.module if isinstance(critic, AveragedModel) else critic
    if not isinstance(inner, TwoHeaded):
        return values(critic, micro)
    found: Tensor = critic(late=late_of(experiences, micro), **micro.inputs)
    return found[micro.lines[:, None], micro.places] * micro.valid


def explained(critic: nn.Module, experiences: Sequence[Experience]) -> tuple[float, float]:
    """What the critic explains of the rewards' variance: over all tokens, as PPO logs it, and at the last ones."""
    critic.eval()
    found, wanted, last_found, last_wanted = [], [], [], []
    with torch.no_grad():
        for rows in micro_batches(experiences, range(len(experiences)), 8192):
            micro = collate(experiences, rows, "cpu")
            value = said(critic, experiences, micro)
            reward = torch.tensor([experiences[row].reward for row in rows])
            found.append(value[micro.valid])
            wanted.append(reward[:, None].expand_as(value)[micro.valid])
            last_found.append(value.gather(1, micro.valid.sum(1, keepdim=True) - 1)[:, 0])
            last_wanted.append(reward)
    pairs = ((torch.cat(found), torch.cat(wanted)), (torch.cat(last_found), torch.cat(last_wanted)))
    whole, last = (core.explained_variance(v, w, torch.ones_like(w, dtype=torch.bool)) for v, w in pairs)
    return whole, last


def trained(policy: Any, experiences: Sequence[Experience], variant: Variant, seed: int) -> nn.Module:
    """The average of a critic's weights, trained batch by batch of 64 episodes, each in 4 minibatches."""
    critic = (TwoHeaded if variant.own_head else Critic).of(copy.deepcopy(policy)).train()
    average = averaged(critic, variant.average)
    optimizer = torch.optim.AdamW(critic.parameters(), lr=variant.lr, betas=(0.9, 0.95), weight_decay=0.0)
    for first in range(0, len(experiences), 64):
        for turn in range(variant.passes):
            random = torch.Generator().manual_seed(1000 * seed + 10 * (first // 64) + turn)
            order = [first + int(i) for i in torch.randperm(len(experiences[first : first + 64]), generator=random)]
            for part in range(4):
                mine = order[part::4]
                for rows in micro_batches(experiences, mine, 8192):
                    micro = collate(experiences, rows, "cpu")
                    reward = torch.tensor([experiences[row].reward for row in rows])[:, None]
                    each = 0.5 * (said(critic, experiences, micro) - reward) ** 2 * micro.valid
                    ends = each.gather(1, micro.valid.sum(1, keepdim=True) - 1)
                    tokens = sum(sum(experiences[row].tokens.mask) for row in mine)
                    loss = (1 - variant.end) * each.sum() / tokens + variant.end * ends.sum() / len(mine)
                    loss.backward()
                torch.nn.utils.clip_grad_norm_(critic.parameters(), 1.0)
                optimizer.step()
                optimizer.zero_grad()
                average.update_parameters(critic)
    return average


def _compare(args: argparse.Namespace) -> None:
    policy = load_model(str(args.demo / "models/sft"))
    every = [one.with_rubric() for one in read(args.episodes)]
    held = len(every) - 64 * args.held
    train, test = every[:held], every[held:]
    rewards = torch.tensor([one.reward for one in test])
    print(
        f"{len(train)} episodes to train on, {len(test)} to measure on: variance {float(rewards.var()):.4f}", flush=True
    )
    for name, variant in VARIANTS.items():
        mine = train if variant.batches is None else train[-64 * variant.batches :]
        rows = [explained(trained(policy, mine, variant, seed), test) for seed in range(args.seeds)]
        whole, last = (", ".join(f"{value:.2f}" for value in column) for column in zip(*rows, strict=True))
        print(f"{name:45} all tokens {whole}   last token {last}", flush=True)


def main(argv: Sequence[str] | None = None) -> None:
    """Collect, or compare."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.critic")
    commands = parser.add_subparsers(dest="command", required=True)
    gather = commands.add_parser("collect")
    gather.add_argument("--demo", type=Path, required=True)
    gather.add_argument("--addr", required=True)
    gather.add_argument("--batches", type=int, default=14)
    gather.add_argument("--first", type=int, default=0)
    gather.add_argument("--seed", type=int, default=0)
    gather.add_argument("-o", "--out", type=Path, required=True)
    weigh = commands.add_parser("compare")
    weigh.add_argument("--demo", type=Path, required=True)
    weigh.add_argument("--episodes", type=Path, required=True)
    weigh.add_argument("--held", type=int, default=2, help="batches of 64 that are measured on")
    weigh.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    if args.command == "collect":
        asyncio.run(_collect(args))
    else:
        _compare(args)


if __name__ == "__main__":
    main()
