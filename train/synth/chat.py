"""A chat model as the writer: replies kept on disk by what was asked, tokens and their price counted."""

from __future__ import annotations

import math
from pathlib import Path

from pydantic import ValidationError

from policy.config import ModelConfig
from policy.errors import ModelAway, ModelError
from policy.model import Model
from policy.web.cache import DiskCache
from train.synth.writer import Prompt, Reply, Unwritten
from train.tasks.chat import ask
from train.tasks.counted import Counted

__all__ = ["ChatWriter"]


class ChatWriter:
    """Writes with any model of `policy.models`, whose own patience repeats what fails for a passing reason.

    A reply that can't be read is asked for again, `tries` times in all. Replies are kept in `cache` for good, under
    the model, its sampling and the words of the prompt.
    """

    tier = 3

    def __init__(
        self, model: Model, config: ModelConfig, cache: Path, *, tries: int = 3, max_tokens: int = 4096
    ) -> None:
        self.model = Counted(model)
        self._config, self._tries, self._max_tokens = config, tries, max_tokens
        self._cache = DiskCache(cache, seconds=math.inf)
        self._sampling = f"{config.base_url}\0{model.name}\0{config.temperature}\0{config.top_p}\0{max_tokens}"
        self.from_cache = 0

    @property
    def name(self) -> str:
        return self.model.name

    @property
    def cost(self) -> float:
        """What was spent, in the currency of the settings' prices; 0 where they name none."""
        model, config = self.model, self._config
        return (model.prompt_tokens * config.input_price + model.completion_tokens * config.output_price) / 1e6

    async def write(self, prompt: Prompt, kind: type[Reply]) -> Reply:
        """Raises Unwritten, and ModelAway where the model can't be reached: the run ends then, and goes on later."""
        text = prompt.text
        question = f"{self._sampling}\0{kind.__name__}\0{text}"
        kept = self._cache.get("writer", question)
        if kept is not None:
            try:
                self.from_cache += 1
                return kind.model_validate(kept)
            except ValidationError:
                self.from_cache -= 1  # it was of a form that has changed since
        try:
            reply = await ask(self.model, text, kind, tries=self._tries, max_tokens=self._max_tokens)
        except ModelAway:
            raise
        except ModelError as error:
            raise Unwritten(str(error)) from error
        self._cache.put("writer", question, reply.model_dump(mode="json"))
        return reply

    async def aclose(self) -> None:
        """Close the model's connections."""
        await self.model.aclose()
