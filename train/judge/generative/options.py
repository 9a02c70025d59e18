"""The options of `judger-train judge --engine torch`. Importing this loads no torch."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from judger.engines.base import SelfBatching
    from judger.prompt.fence import FenceKey


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that only a generative judge has."""
    group = parser.add_argument_group("with --engine torch")
    group.add_argument("--model", help="a causal model of transformers: a folder or a hub name")
    group.add_argument("--teacher-url", help="an OpenAI-compatible endpoint whose model writes scores and reasons")
    group.add_argument("--teacher-model", help="the model's name there")
    group.add_argument("--teacher-key-file", type=Path, help="a file with the endpoint's key in its first line")
    group.add_argument(
        "--disagreeing",
        choices=["drop", "keep"],
        default="drop",
        help="what to do with a teacher's reason where its label is not the person's",
    )
    group.add_argument("--sft-steps", type=int, default=-1, help="-1: as many as --epochs takes; 0: no SFT")
    group.add_argument("--epochs", type=float, default=2.0)
    group.add_argument("--batch", type=int, default=16, help="samples a step of SFT")
    group.add_argument("--row-tokens", type=int, default=16_384, help="of a report with its criteria, read together")
    group.add_argument("--lone-prompts", action="store_true", help="read a report once a criterion")
    group.add_argument("--micro-batch", type=int, default=4, help="prompts at a time, with --lone-prompts")
    group.add_argument("--learning-rate", type=float, default=1e-5)
    group.add_argument("--rl-steps", type=int, default=200, help="0: no RL")
    group.add_argument("--generations", type=int, default=8, help="completions of one prompt")
    group.add_argument("--prompts-per-step", type=int, default=4)
    group.add_argument("--rl-learning-rate", type=float, default=1e-6)
    group.add_argument("--reason-tokens", type=int, default=256, help="the longest completion")
    group.add_argument("--lora-rank", type=int, default=0, help="0: all weights are trained")
    group.add_argument("--max-tokens", type=int, default=0, help="of a prompt; 0: the model's limit. Longer: left out")
    group.add_argument(
        "--flaws", type=float, default=0.5, metavar="SHARE",
        help="of the labelled requirements, restated as the flaw of leaving them out (default: 0.5)",
    )  # fmt: skip
    group.add_argument(
        "--source-power", type=float, default=0.5, metavar="X",
        help="a source of n samples is drawn n ** X times; labels are balanced within each (default: 0.5)",
    )  # fmt: skip
    group.add_argument("--save-steps", type=int, default=100, help="steps between checkpoints")


def run(options: argparse.Namespace) -> int:
    """Trains. 0 when done, 2 for what can't be trained with or on."""
    from judger.errors import EngineError, InvalidFile, InvalidRequest
    from train.judge.data import DataError
    from train.judge.generative.recipe import Recipe
    from train.judge.generative.recipe import run as train
    from train.judge.generative.settings import Settings

    if not options.model:
        print("--engine torch needs --model", file=sys.stderr)
        return 2
    if bool(options.teacher_url) != bool(options.teacher_model):
        print("--teacher-url and --teacher-model go together", file=sys.stderr)
        return 2
    fields = (
        "sft_steps epochs batch micro_batch row_tokens lone_prompts learning_rate rl_steps generations "
        "prompts_per_step rl_learning_rate reason_tokens lora_rank max_tokens flaws source_power save_steps device seed"
    ).split()
    try:
        figures = train(
            Recipe(
                model=options.model,
                data=options.data,
                out=options.out,
                settings=Settings(**{name: getattr(options, name) for name in fields}),
                teacher=teacher(options),
                disagreeing=options.disagreeing,
            )
        )
    except (DataError, InvalidFile, InvalidRequest, EngineError) as error:
        print(error, file=sys.stderr)
        return 2
    show(figures["agreement"])
    print(f"serve it: judger serve --engine torch --model {options.out}")
    print(f"logs: tensorboard --logdir {options.out / 'runs'}")
    return 0


def teacher(options: argparse.Namespace) -> Callable[[FenceKey], SelfBatching] | None:
    """How the endpoint becomes judger's openai engine; None without one. Raises InvalidRequest for a bad key file."""
    if not options.teacher_url:
        return None
    from judger.engines import read_key
    from judger.engines.openai import OpenAIEngine

    key = read_key(options.teacher_key_file)

    def made(fence: FenceKey) -> SelfBatching:
        return OpenAIEngine(
            options.teacher_model,
            base_url=options.teacher_url,
            api_key=key,
            reason_tokens=2 * options.reason_tokens,
            fence=fence,
        )

    return made


def show(agreement: Mapping[str, Mapping[str, Mapping[str, float | None]]]) -> None:
    """Balanced accuracy by source, before and after."""
    print(f"{'source':32} {'n':>5} {'before':>8} {'after':>8}   balanced accuracy")
    for name, before in agreement["before"].items():
        after = agreement["after"].get(name, {})
        cells = [row.get("balanced_accuracy") for row in (before, after)]
        shown = ["-" if value is None else f"{value:.3f}" for value in cells]
        print(f"{name:32} {before['n']:5} {shown[0]:>8} {shown[1]:>8}")
