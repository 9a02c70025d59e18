"""Which commands the demo is made of, in its full and in its short form. Both take the same path."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from train.demo.stages import Stage

__all__ = ["ALGORITHMS", "FULL", "SHORT", "Layout", "Size", "plan"]

ALGORITHMS = ("ppo", "grpo")


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything. Options that are not named here are the commands' own defaults."""

    world: tuple[str, ...]
    held_out: tuple[str, ...]
    tiny: str
    stage1: tuple[str, ...]
    stage2: tuple[str, ...]
    sft: tuple[str, ...]
    rl: tuple[str, ...]
    evaluate: tuple[str, ...]


_SMALL = ("--size", "small", "--entities", "64")
_STEPS = ("--accumulate", "1", "--learning-rate", "3e-3")
_STAGE1 = ("--batch", "4", *_STEPS)
_STAGE2 = ("--context", "1024", "--batch", "2", *_STEPS)
_PROBES = ("--probes", "120")  # with 40, a share of 0.2 is known to 0.12 only
_SFT = ("--packing", "--batch", "2", *_STEPS)

FULL = Size(
    world=(*_SMALL, "--tasks", "64", "--trajectories", "600", "--texts", "4000", "--drills", "240"),
    held_out=(*_SMALL, "--tasks", "100", "--trajectories", "8", "--texts", "8", "--drills", "8", "--worlds", "1"),
    tiny="",
    stage1=(*_STAGE1, "--steps", "150", *_PROBES),
    stage2=(*_STAGE2, "--steps", "80", *_PROBES),
    sft=(*_SFT, "--steps", "120"),
    rl=(),
    evaluate=("--samples", "2"),
)
SHORT = Size(
    world=(*_SMALL, "--tasks", "16", "--trajectories", "60", "--texts", "80", "--drills", "60", "--worlds", "2"),
    held_out=(*_SMALL, "--tasks", "8", "--trajectories", "8", "--texts", "8", "--drills", "8", "--worlds", "1"),
    tiny="hidden=32,layers=2,heads=2,intermediate=96",
    stage1=(*_STAGE1, "--steps", "20", "--probes", "8"),
    stage2=(*_STAGE2, "--steps", "20", "--probes", "8"),
    sft=(*_SFT, "--steps", "40"),
    rl=("--steps", "5"),  # PPO's critic warms up alone for four
    evaluate=(),
)

TRAIN_SEED, HELD_OUT_SEED = 0, 1000
"""The held-out world has other names and facts. Nothing is chosen by looking at its tasks."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things are under the demo's folder."""

    out: Path

    @property
    def data(self) -> Path:
        return self.out / "data"

    @property
    def held_out(self) -> Path:
        return self.out / "held-out"

    def model(self, name: str) -> Path:
        """The model that a stage left: mid1, mid2, sft, or an RL run such as ppo-0."""
        folder = self.out / "models" / name
        return folder / "model" if name.startswith(ALGORITHMS) else folder

    def run(self, name: str) -> Path:
        """The run of a stage, with its logs and checkpoints."""
        return self.out / "models" / name

    def outcome(self, name: str) -> Path:
        """The figures of a stage on the held-out tasks."""
        return self.out / "evaluation" / f"{name}.json"


def plan(layout: Layout, size: Size, address: str, seeds: int) -> list[Stage]:
    """Every stage in order. The judge is at `address`; RL is repeated with `seeds` seeds."""
    data, held_out = layout.data, layout.held_out
    stages = [
        Stage("data", "a world, tasks and data to train on", _tasks(data, TRAIN_SEED, address, size.world)),
        Stage("held-out", "tasks of another world", _tasks(held_out, HELD_OUT_SEED, address, size.held_out)),
        Stage(
            "mid1",
            "mid-training, stage I",
            _lm("midtrain", data, layout.run("mid1"), ("--stage", "1", "--tiny", size.tiny, *size.stage1)),
        ),
        Stage(
            "mid2",
            "mid-training, stage II: longer, with tool calls",
            _lm("midtrain", data, layout.run("mid2"), ("--stage", "2", *_from(layout, "mid1"), *size.stage2)),
        ),
        _evaluate(layout, "mid2", size, address),
        Stage(
            "sft", "supervised fine-tuning", _lm("sft", data, layout.run("sft"), (*_from(layout, "mid2"), *size.sft))
        ),
        _evaluate(layout, "sft", size, address),
    ]
    for seed in range(seeds):
        for algo in ALGORITHMS:
            name = f"{algo}-{seed}"
            stages += [_rl(layout, algo, seed, size, address), _evaluate(layout, name, size, address)]
    return stages


def _tasks(folder: Path, seed: int, address: str, amounts: tuple[str, ...]) -> tuple[str, ...]:
    return ("tasks", "--seed", str(seed), "-o", str(folder), "--addr", address, *amounts)


def _lm(command: str, data: Path, out: Path, rest: tuple[str, ...]) -> tuple[str, ...]:
    return (command, "--data", str(data), "--out", str(out), *rest)


def _from(layout: Layout, name: str) -> tuple[str, ...]:
    return ("--model", str(layout.model(name)))


def _rl(layout: Layout, algo: str, seed: int, size: Size, address: str) -> Stage:
    name = f"{algo}-{seed}"
    argv = (
        *("rl", "--algo", algo, *_from(layout, "sft"), "--tasks", str(layout.data / "tasks.jsonl")),
        *("--settings", str(layout.data / "settings.toml"), "--addr", address, "-o", str(layout.run(name))),
        *("--preset", "tiny", "--seed", str(seed), "--cpu", *size.rl),
    )
    return Stage(name, f"{algo.upper()}, seed {seed}", argv)


def _evaluate(layout: Layout, name: str, size: Size, address: str) -> Stage:
    argv = (
        *("evaluate", *_from(layout, name), "--tasks", str(layout.held_out / "tasks.jsonl")),
        *("--settings", str(layout.held_out / "settings.toml"), "--addr", address),
        *("-o", str(layout.outcome(name)), *size.evaluate),
    )
    return Stage(f"evaluate-{name}", f"{name} on the held-out tasks", argv)
