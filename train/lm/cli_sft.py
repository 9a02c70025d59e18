"""`judger-train sft`: its options. Importing this loads no torch."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from train.lm.training import add_options, options_of, preset_of
from train.templates import add_template_flags


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--data", type=Path, required=True, help="what judger-train tasks wrote, or a dataset on disk")
    parser.add_argument("--model", required=True, help="a folder or hub name")
    parser.add_argument("--out", type=Path, required=True, help="the model, figures.json, checkpoints and logs go here")
    parser.add_argument("--context", type=int, help="most tokens of a conversation, at most what the model takes")
    parser.add_argument(
        "--packing", action=argparse.BooleanOptionalAction, help="several conversations to a row, kept apart"
    )
    parser.add_argument(
        "--lora", nargs="?", const="merged", default="", choices=["merged", "adapter"],
        help="train low-rank adapters, and write them merged into the model or alone",
    )  # fmt: skip
    parser.add_argument("--lora-rank", type=int, default=16)
    add_template_flags(parser)
    parser.add_argument("--drop-long", action="store_true", help="leave out conversations that do not fit, and say so")
    add_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Trains. 0 when done, 2 where something cannot be used."""
    from train.lm.faults import Fault
    from train.lm.sft import sft

    try:
        defaults = preset_of(arguments, "sft")
        if arguments.lora:
            defaults["learning_rate"] = defaults.get("lora_learning_rate", defaults["learning_rate"])
        figures = sft(
            arguments.data,
            arguments.out,
            model=arguments.model,
            options=options_of(arguments, defaults),
            context=arguments.context or defaults.get("context"),
            packing=bool(defaults.get("packing", False)) if arguments.packing is None else arguments.packing,
            lora=arguments.lora,
            lora_rank=arguments.lora_rank,
            chat_template=arguments.chat_template,
            eos_token=arguments.eos_token,
            drop_long=arguments.drop_long,
        )
    except Fault as fault:
        print(fault, file=sys.stderr)
        return 2
    print(
        f"{figures['rows']:,} conversations ({figures['dropped']} too long and left out), "
        f"{figures['tokens']:,} tokens, {figures['learned_tokens']:,} of them learned; "
        f"{figures['trained_parameters']:,} parameters trained"
    )
    for name in ("before", "after"):
        loss, accuracy = figures[name]["loss"], figures[name]["token_accuracy"]
        print(f"held-out, {name:6}  loss {loss:.3f}  token accuracy {accuracy:.3f}")
    print(f"model: {arguments.out}   logs: tensorboard --logdir {arguments.out / 'runs'}")
    return 0
