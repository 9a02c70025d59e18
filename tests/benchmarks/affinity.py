"""What sessions are worth under a GRPO trainer's load, counted with real engines and Ray's own ring in one process.

    python -m tests.benchmarks.affinity [--replicas 4 8] [--rounds 4]

A step has four queries with eight rollouts of 3,000 words; all are judged by one reward function and then by a second,
with a rubric of its own. Each replica is a torch engine with its prefix cache; a call goes where the ring of Ray's
router sends its session. The share of prompt tokens that were found is counted by the engines, over two steps a round,
each round with other reports and other replicas. The bound on a replica's load has no part in it, since there is none:
`bench_ray --only affinity` asks a cluster.
"""

from __future__ import annotations

import argparse
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from judger.cluster.ingress import digest
from judger.engines.base import Tier
from judger.engines.torch.engine import TorchEngine
from judger.types import Case, Criterion
from tests.benchmarks.synthetic import cases
from tests.judger.engines.generative import tiny

__all__ = ["ROLLOUTS", "SMALLEST", "batches"]

REWARD_FUNCTIONS = (("names the cost", "names the wind"), ("cites a source", "names a risk of the market"))
STEPS, QUERIES, ROLLOUTS, WORDS = 2, 4, 8, 3000
SMALLEST = {
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "num_key_value_heads": 1,
    "max_position_embeddings": 32_768,  # a report of 3,000 words has 10,500 tokens of the tiny tokenizer
}
"""Of a model whose verdicts nobody reads: what is counted are its tokens."""

Group = tuple[str, list[str], Sequence[str]]
"""(query, reports, rubric)."""
Sessions = Callable[[str, list[str], Sequence[str]], list[str]]
"""Of a group, the session of each report's call, or of its own."""
WAYS: dict[str, Sessions] = {
    "a call a report, by query and report": lambda query, reports, _: [digest(query, report) for report in reports],
    "a call a report, at random": lambda _, reports, __: [uuid.uuid4().hex for _ in reports],
    "a call a group, by query and reports": lambda query, reports, _: [digest(query, *reports)] * len(reports),
    "a call a group, by query and rubric": lambda query, reports, rubric: [digest(query, *rubric)] * len(reports),
    "a call a group, at random": lambda _, reports, __: [uuid.uuid4().hex] * len(reports),
}


def batches(seed: str) -> Iterator[list[Group]]:
    """What is judged at a time: all groups of a step, by one reward function. No two seeds share a report."""
    for step in range(STEPS):
        groups = []
        for number in range(QUERIES):
            made = cases(ROLLOUTS, words=WORDS, criteria=1, seed=f"{seed} {step} {number}")
            groups.append((f"How large is it, {seed} {step} {number}?", [case.report for case in made]))
        for rubric in REWARD_FUNCTIONS:
            yield [(query, reports, rubric) for query, reports in groups]


def ring(replicas: int) -> Callable[[str], int]:
    """The number of the replica that Ray's router sends a session to first; each ring has other replicas."""
    from ray.serve._private.common import DeploymentID, ReplicaID
    from ray.serve.experimental.consistent_hash_router import ConsistentHashRouter

    router: Any = object.__new__(ConsistentHashRouter)  # its ring alone, without a cluster around it
    router._deployment_id, router._num_virtual_nodes, router._num_fallback_replicas = "counted", 100, 0
    ids = [ReplicaID(uuid.uuid4().hex[:8], DeploymentID("counted")) for _ in range(replicas)]
    router._rebuild_ring(frozenset(ids))
    return lambda session: ids.index(router._lookup_ranked_replicas(session)[0])


def found(model: str, replicas: int, way: Sessions, seed: str) -> tuple[int, int]:
    """(tokens of prompts found, and computed) in a round."""
    engines = [TorchEngine.load(model, device="cpu", threads=1) for _ in range(replicas)]
    choose = ring(replicas)
    for groups in batches(seed):
        for query, reports, rubric in groups:
            criteria = tuple(Criterion(id=text, text=text) for text in rubric)
            for session, report in zip(way(query, reports, rubric), reports, strict=True):
                engine = engines[choose(session)]
                engine.run([engine.plan(Case(id="r", query=query, report=report, criteria=criteria), Tier())])
    counts = [engine.prefix_tokens for engine in engines]
    for engine in engines:
        engine.close()
    return sum(one for one, _ in counts), sum(two for _, two in counts)


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicas", type=int, nargs="+", default=[4, 8])
    parser.add_argument("--rounds", type=int, default=4)
    args = parser.parse_args()
    print("| replicas | sessions | found | least and most of a round |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        model = tiny.save(Path(folder, "model"), **SMALLEST)
        for replicas in args.replicas:
            for name, way in WAYS.items():
                counts = [found(model, replicas, way, f"{name} {round_}") for round_ in range(args.rounds)]
                shares = [one / (one + two) for one, two in counts]
                every = sum(one for one, _ in counts) / sum(one + two for one, two in counts)
                print(f"| {replicas} | {name} | {every:.3f} | {min(shares):.3f}, {max(shares):.3f} |", flush=True)


if __name__ == "__main__":
    main()
