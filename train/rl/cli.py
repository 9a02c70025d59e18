"""`judger-train rl` and `judger-train evaluate`: options and exit codes. Importing this loads no torch."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from train.access import JudgeAccess, add_access_flags
from train.presets import NAMES
from train.templates import add_template_flags

STOPPED = 3
"""The judge was lost, or the run left its bounds; the state is saved."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `judger-train rl`."""
    _add_common(parser)
    parser.add_argument("--algo", choices=["ppo", "grpo"], default="ppo", help="the paper's PPO, or TRL's GRPO")
    parser.add_argument(
        "-o", "--out", type=Path, required=True, metavar="DIR", help="the run; goes on where it stopped"
    )
    parser.add_argument("--config", type=Path, metavar="TOML", help="settings of the run: see docs/training.md")
    parser.add_argument("--preset", choices=NAMES, help="settings by the model's size, which --config goes before")
    parser.add_argument("--steps", type=int, default=None, help="batches of episodes, instead of the settings'")
    parser.add_argument("--seed", type=int, default=None, help="instead of the settings'")
    parser.add_argument("--cpu", action="store_true", help="on the CPU, even where there is a GPU")


def add_evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `judger-train evaluate`."""
    _add_common(parser)
    parser.add_argument(
        "-o", "--out", type=Path, required=True, metavar="OUT.json", help="figures, and episodes beside"
    )
    parser.add_argument("--samples", type=int, default=1, help="episodes of each task (default: 1)")
    parser.add_argument("--temperature", type=float, default=1.0, help="0 takes the likeliest token (default: 1)")
    parser.add_argument("--turn-tokens", type=int, default=None, help="the most tokens of a reply")
    parser.add_argument("--at-once", type=int, default=64, help="episodes in one batch (default: 64)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, help="a folder or hub name, with the chat template")
    add_template_flags(parser)
    parser.add_argument(
        "--tasks", type=Path, required=True, metavar="TASKS.jsonl", help="id, query and criteria a line"
    )
    parser.add_argument("--settings", type=Path, metavar="TOML", help="the agent's: index, tools, budgets")
    add_access_flags(parser, required=True)
    parser.add_argument("--judge-wait", type=float, default=300.0, metavar="S", help="seconds to wait for a judger")


def run(options: argparse.Namespace) -> int:
    """Trains. 0 when done, 2 for bad input, 3 where the judge was lost: the same command goes on."""
    from policy.errors import ConfigError

    try:
        return _train(options)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2


def run_evaluate(options: argparse.Namespace) -> int:
    """Evaluates. 0 when done, 2 for bad input, 3 where the judge was lost."""
    from policy.errors import ConfigError

    try:
        return _evaluate(options)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2


def _train(options: argparse.Namespace) -> int:
    from dataclasses import replace

    from judger.errors import JudgerError
    from judger.types import Mapping
    from train.rl.config import load_rl_settings
    from train.rl.setup import check_same_run
    from train.rl.stop import Stop

    settings = load_rl_settings(
        options.config, preset=options.preset, algo=options.algo, steps=options.steps, seed=options.seed
    )
    inputs = _inputs(options)
    _check_sizes(settings, options.algo)
    rewards, judge_id = _rewards(options)
    rewards.options = replace(rewards.options, mapping=Mapping(settings.mapping))
    check_same_run(options.out, inputs, options.tasks, settings, options.algo, judge_id=judge_id)
    try:
        if options.algo == "ppo":
            from train.rl.ppo.train import train_ppo

            model = train_ppo(inputs, settings, options.out, rewards, cpu=options.cpu)
        else:
            from train.rl.grpo.train import train_grpo

            model = train_grpo(inputs, settings, options.out, rewards, cpu=options.cpu)
    except (JudgerError, Stop) as error:
        print(f"judger-train rl: stopped, the state is saved in {options.out}: {error}", file=sys.stderr)
        return STOPPED
    print(f"model: {model}   figures: {options.out / 'metrics.jsonl'}   logs: tensorboard --logdir {options.out}/runs")
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from judger.errors import JudgerError
    from train.rl.reward import JudgeLost

    inputs = _inputs(options)
    rewards, _ = _rewards(options)
    from train.rl.evaluate import OPTIONS, evaluate, write_outcome
    from train.rl.setup import load_model

    rewards.options = OPTIONS
    model = load_model(options.model, "auto").to(options.device).eval()  # in its own precision: nothing is learned
    try:
        with tqdm(total=len(inputs.tasks) * options.samples, unit="episode", dynamic_ncols=True) as bar:
            outcome, judged = evaluate(
                inputs,
                model,
                rewards,
                samples=options.samples,
                temperature=options.temperature,
                turn_tokens=options.turn_tokens,
                seed=options.seed,
                at_once=options.at_once,
                on_end=bar.update,
            )
    except (JudgeLost, JudgerError) as error:
        print(f"judger-train evaluate: {error}", file=sys.stderr)
        return STOPPED
    write_outcome(options.out, outcome | {"model": options.model}, judged)
    reward = outcome["reward"]
    shown = (
        f"{reward['value']:.3f} [{reward['low']:.3f}, {reward['high']:.3f}]" if reward else "none: nothing was scored"
    )
    print(f"reward {shown}   unscored {outcome['figures']['unscored_share']:.1%}   {options.out}")
    return 0


def _inputs(options: argparse.Namespace) -> Any:
    from train.rl.setup import load_inputs

    return load_inputs(
        options.model,
        options.tasks,
        options.settings,
        os.environ,
        chat_template=options.chat_template,
        eos_token=options.eos_token,
    )


def _rewards(options: argparse.Namespace) -> tuple[Any, str]:
    """The judge, once it answers, and who it is: from then on no other is taken for it.

    A wrong address, or nobody there in time, is bad input: nothing has begun.
    """
    from judger.errors import JudgerError
    from policy.errors import ConfigError
    from train.rl.reward import JudgeLost, Rewards

    access = JudgeAccess.of(options)
    rewards = Rewards(access.connect(), wait=options.judge_wait, say=lambda text: print(text, file=sys.stderr))
    try:
        judge_id = asyncio.run(rewards.who())
    except (JudgeLost, JudgerError) as error:
        raise ConfigError(f"--addr {access.address}: {error}") from error
    if access.judge_id not in (None, judge_id):
        raise ConfigError(f"--judge-id: the judge at {access.address} is {judge_id}, not {access.judge_id}")
    rewards.client = access.model_copy(update={"judge_id": judge_id}).connect()
    return rewards, judge_id


def _check_sizes(settings: Any, algo: str) -> None:
    from policy.errors import ConfigError

    if algo == "grpo" and settings.group < 2:
        raise ConfigError("settings: group: GRPO compares the episodes of a task: it needs at least 2")
    if algo == "grpo" and settings.episodes % settings.grpo.minibatches:
        raise ConfigError("settings: grpo.minibatches: must divide tasks_per_step x group")
