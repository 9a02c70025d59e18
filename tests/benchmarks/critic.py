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
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean

import torch

from train.rl.batch import Experience
from train.rl.collect import collect, orders_of, tasks_of
from train.rl.episodes import Episodes
from train.rl.ppo.critic import Critic
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


class Summed(Critic):
    """A head that sees, beside the state of a token, the sum of the states of the words that the policy has written."""


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
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    asyncio.run(_collect(args))


if __name__ == "__main__":
    main()
