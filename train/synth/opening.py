"""What a command works with, opened for as long as it runs: a folder of its own, the writer, the judge."""

from __future__ import annotations

import argparse
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from policy.config import ModelConfig
from policy.errors import ConfigError
from policy.models import open_model
from policy.trajectory import lock
from train.access import JudgeAccess
from train.synth.chat import ChatWriter
from train.synth.checker import Checker
from train.synth.extractive import ExtractiveWriter
from train.synth.writer import Writer
from train.tasks.judging import open_judge

__all__ = ["alone", "open_checker", "open_writer", "spent"]


def spent(writer: Writer) -> str:
    """What a chat model was asked and wrote, and what that cost; nothing of another writer."""
    if not isinstance(writer, ChatWriter):
        return ""
    model = writer.model
    tokens = f", {model.calls} calls, {model.prompt_tokens:,} tokens read, {model.completion_tokens:,} written"
    return f"{tokens}, {writer.from_cache} replies from the cache" + (
        f", cost {writer.cost:.2f}" if writer.cost else ""
    )


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """The folder, made where it is missing, for this process alone. Raises InUse where another works in it."""
    out.mkdir(parents=True, exist_ok=True)
    handle = os.open(out, os.O_RDONLY)
    try:
        lock(handle, out)
        yield
    finally:
        os.close(handle)


@asynccontextmanager
async def open_writer(args: argparse.Namespace) -> AsyncIterator[Writer]:
    """The writer that flags name. Raises ConfigError."""
    if args.writer == "extractive":
        if args.model or args.base_url:
            raise ConfigError("--model, --base-url: not with the extractive writer")
        yield ExtractiveWriter()
        return
    if not args.model:
        raise ConfigError("--model: the writer's model is missing")
    config = ModelConfig(
        backend=args.writer, name=args.model, base_url=args.base_url, input_price=args.prices[0],
        output_price=args.prices[1],
    )  # fmt: skip
    model = open_model(config, api_key=os.environ.get(config.api_key_env))
    writer = ChatWriter(model, config, args.out / "cache", max_tokens=args.max_tokens)
    try:
        yield writer
    finally:
        await writer.aclose()


@asynccontextmanager
async def open_checker(args: argparse.Namespace, say: Callable[[str], None]) -> AsyncIterator[Checker | None]:
    """The judge that is asked for; None where none is."""
    access = JudgeAccess.asked(args)
    if access is not None and args.builtin_judge:
        raise ConfigError("--addr, --builtin-judge: one judge or the other")
    if access is None and not args.builtin_judge:
        yield None
        return
    async with open_judge(access, say=say) as client:
        yield Checker(client, (await client.get_judge()).judge_id)
