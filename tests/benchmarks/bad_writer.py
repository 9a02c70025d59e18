"""What the filters leave of a bad writer: a small chat model whose plain words are taken for the question, JSON or not.

    python -m tests.benchmarks.bad_writer --model FOLDER [--count 12]

Such a model writes no JSON: `judger-train synth make` drops all as unreadable, and its other filters see nothing. Here
each reply is put into the JSON by us. What is kept is printed, to be read by a person. FOLDOC has to be installed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from policy.config import ModelConfig
from policy.model import Completion, Message, Model, Schema
from policy.models import open_model
from train.synth.brief import Dropped
from train.synth.build import Plan, make_ports
from train.synth.chat import ChatWriter
from train.synth.clues import Clues
from train.synth.corpus import open_corpus
from train.synth.foldoc import read_foldoc, write_foldoc
from train.synth.subgraphs import Subgraphs
from train.synth.walks import Walks
from train.synth.writer import Unwritten

_JSON = "Answer with one JSON object"


class Plain:
    """A model that is asked for the question alone, in plain words; they are put into the JSON that is waited for."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.said: list[str] = []

    @property
    def name(self) -> str:
        return self._model.name

    async def complete(
        self, messages: Sequence[Message], tools: Sequence[Schema], *, max_tokens: int, use_tools: bool = True
    ) -> Completion:
        asked = str(messages[0]["content"]).partition(_JSON)[0] + "Answer with the question and nothing else."
        reply = await self._model.complete([{"role": "user", "content": asked}], tools, max_tokens=max_tokens)
        self.said.append(" ".join(reply.content.split()))
        return replace(reply, content=json.dumps({"question": self.said[-1]}))

    async def aclose(self) -> None:
        await self._model.aclose()


async def trial(folder: Path, model: str, count: int, max_tokens: int, minutes: float) -> None:
    """Asks for questions over subgraphs and walks until so many were written, or the time is over."""
    write_foldoc(read_foldoc(), folder / "foldoc")
    config = ModelConfig(backend="transformers", name=model)
    plain = Plain(open_model(config))
    writer = ChatWriter(plain, config, folder / "cache", tries=1, max_tokens=max_tokens)
    ports, _ = make_ports(open_corpus(folder / "foldoc", folder), writer, Plan(out=folder))
    clues = Clues(ports)
    end = time.monotonic() + 60 * minutes
    for capability in (Subgraphs(ports, clues), Walks(ports, clues)):
        funnel: Counter[str] = Counter()
        plain.said.clear()
        for brief in capability.briefs(50 * count):
            before = len(plain.said)
            try:
                row = await capability.make(brief)
                by, reason = "kept", str(row["task"]["query"])
            except Dropped as error:
                by, reason = error.by, error.reason
            except Unwritten as error:
                by, reason = "unreadable", str(error)
            if len(plain.said) > before:  # what the graph takes is not the writer's
                funnel[by] += 1
                print(f"{brief.id}: {by}: {reason[:100]!r}\n    {plain.said[-1][:300]!r}", flush=True)
            if len(plain.said) >= count or time.monotonic() > end:
                break
        print(f"\n{capability.name}: {len(plain.said)} written, {dict(funnel.most_common())}\n", flush=True)
    await writer.aclose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="a folder that transformers reads")
    parser.add_argument("--count", type=int, default=12, help="questions of each kind")
    parser.add_argument("--max-tokens", type=int, default=64, help="of one reply")
    parser.add_argument("--minutes", type=float, default=30, help="after which nothing new is begun")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        asyncio.run(trial(Path(temporary), args.model, args.count, args.max_tokens, args.minutes))


if __name__ == "__main__":
    main()
