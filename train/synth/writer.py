"""Who writes: a chat model, or sentences taken from the corpus. A prompt holds its brief, so that both can be asked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Protocol, TypeVar

from pydantic import BaseModel

from train.synth import words
from train.synth.brief import Brief
from train.tasks.chat import fill
from train.tasks.writer import Unwritten

__all__ = ["Prompt", "Reply", "Unwritten", "Writer"]

Reply = TypeVar("Reply", bound=BaseModel)
_LANGUAGE = "\nWrite its texts in the language of what is given above; the names of the fields stay as they are.\n"


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is asked for (a file of `train/synth/prompts`), the brief, and what else goes into the file's fields."""

    name: str
    brief: Brief
    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The words for a chat model."""
        brief = self.brief
        known = {
            "facts": "\n".join(f"- [{fact.passage}] {fact.text}" for fact in brief.facts),
            "passages": "\n\n".join(f"[{one.key}] {one.title}\n{one.text}" for one in brief.passages),
            "asked": brief.asked,
            "answer": brief.answer,
            "names": json.dumps(brief.names, ensure_ascii=False),
        }
        text = files("train.synth").joinpath(f"prompts/{self.name}.txt").read_text(encoding="utf-8")
        return fill(text, {**known, **self.values}) + (_LANGUAGE if self.is_cjk else "")

    @property
    def is_cjk(self) -> bool:
        """Whether what is to be written about is Chinese or Japanese."""
        brief = self.brief
        said = [brief.asked, *(f"{fact.subject} {fact.object}" for fact in brief.facts), *self.values.values()]
        return words.is_cjk("\n".join([*said, *(one.text for one in brief.passages)]))


class Writer(Protocol):
    """Writes what a prompt asks for."""

    @property
    def name(self) -> str: ...

    @property
    def tier(self) -> int:
        """2 where all is taken from the corpus, 3 where a model writes. (1 is what needs no writer.)"""
        ...

    async def write(self, prompt: Prompt, kind: type[Reply]) -> Reply:
        """The reply, as a value of that pydantic type. Raises Unwritten where there is none that can be read."""
        ...
