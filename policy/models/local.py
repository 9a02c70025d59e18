"""A causal model of transformers in this process, speaking a tool-call format that `policy.models.calls` reads.

One thread owns the device; the event loop never runs the model.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from policy.config import ModelConfig
from policy.errors import ConfigError, ContextFull, ModelError
from policy.model import Completion, Message, Observer, Piece, Schema
from policy.models import hermes
from policy.rendering import rendered

__all__ = ["LocalModel"]


class LocalModel:
    """`model` and `tokenizer` as transformers gives them; the tokenizer's chat template must take `tools`."""

    def __init__(self, model: Any, tokenizer: Any, config: ModelConfig, *, observer: Observer | None = None) -> None:
        if not tokenizer.chat_template:
            raise ConfigError(f"model.name: {config.name} has no chat template")
        self._model, self._tokenizer, self._config = model.eval(), tokenizer, config
        self._observer = observer
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="policy-model")
        self._turn = asyncio.Lock()
        self._replies = 0

    @classmethod
    def load(cls, config: ModelConfig, *, observer: Observer | None = None) -> LocalModel:
        """Load `config.name` from a folder or the hub. Raises ConfigError where that is not possible."""
        from transformers import AutoModelForCausalLM, AutoTokenizer

        if not config.name:
            raise ConfigError("model.name: a folder or a hub name is missing")
        try:
            tokenizer = AutoTokenizer.from_pretrained(config.name)
            model = AutoModelForCausalLM.from_pretrained(config.name, dtype=config.dtype).to(config.device)
        except (OSError, ValueError) as error:
            raise ConfigError(f"model.name: {config.name} cannot be loaded: {error}") from error
        return cls(model, tokenizer, config, observer=observer)

    @property
    def name(self) -> str:
        return self._config.name

    async def complete(
        self, messages: Sequence[Message], tools: Sequence[Schema], *, max_tokens: int, use_tools: bool = True
    ) -> Completion:
        async with self._turn:  # a reply's time begins when the model is free for it
            return await self._replied(messages, tools if use_tools else (), max_tokens)

    async def _replied(self, messages: Sequence[Message], tools: Sequence[Schema], max_tokens: int) -> Completion:
        stop, loop = threading.Event(), asyncio.get_running_loop()
        streamer = None
        if (observer := self._observer) is not None:
            observer.begins()
            streamer = _Streamer(self._tokenizer, lambda piece: loop.call_soon_threadsafe(observer.writes, piece))
        future = loop.run_in_executor(
            self._thread, self._generate, list(messages), list(tools), max_tokens, stop, streamer
        )
        try:
            async with asyncio.timeout(self._config.timeout):  # `wait_for` of 3.11 may swallow a cancellation
                return await asyncio.shield(future)
        except TimeoutError as error:
            raise ModelError(f"no reply within {self._config.timeout:g} s") from error
        finally:
            # A caller that left, or ran out of time, must not keep the device busy to the last token.
            stop.set()

    def _generate(
        self,
        messages: list[Message],
        tools: list[Schema],
        max_tokens: int,
        stop: threading.Event,
        streamer: _Streamer | None,
    ) -> Completion:
        import torch

        prompt = self._tokenizer.apply_chat_template(
            [rendered(message) for message in messages],  # as training renders them
            tools=tools or None,
            add_generation_prompt=True,
            return_tensors="pt",
            return_dict=True,
        ).to(self._model.device)
        length = prompt["input_ids"].shape[1]
        window = getattr(self._model.config, "max_position_embeddings", None)
        if window is not None and length + 1 > window:
            raise ContextFull(f"the prompt has {length} tokens, the model takes {window}", window=window)
        if window is not None:
            max_tokens = min(max_tokens, window - length)
        temperature = 1.0 if self._config.temperature is None else self._config.temperature
        recorder = _Recorder(temperature or 1.0)
        try:
            with torch.inference_mode():
                output = self._model.generate(
                    **prompt,
                    max_new_tokens=max_tokens,
                    do_sample=temperature > 0,
                    temperature=temperature or None,
                    top_p=self._config.top_p,
                    top_k=0 if temperature > 0 else None,
                    logits_processor=[recorder] if self._config.logprobs else [],
                    stopping_criteria=[lambda ids, scores, **_: torch.full((1,), stop.is_set(), device=ids.device)],
                    streamer=streamer,
                    pad_token_id=self._tokenizer.pad_token_id or self._tokenizer.eos_token_id,
                )
        except RuntimeError as error:  # torch's own, such as out of memory
            raise ModelError(f"generation failed: {error}") from error
        written = output[0, length:].tolist()
        ended = bool(written) and written[-1] in self._ends()
        self._replies += 1
        return hermes.completion(
            self._tokenizer,
            output[0, :length].tolist(),
            written,
            has_ended=ended,
            tools=tools,
            id_prefix=f"call_{self._replies}",
            logprobs=recorder.logprobs(written) if self._config.logprobs else None,
        )

    def _ends(self) -> set[int]:
        ends = self._model.generation_config.eos_token_id
        ends = ends if isinstance(ends, list) else [ends]
        return {end for end in (*ends, self._tokenizer.eos_token_id) if end is not None}

    async def aclose(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)


class _Streamer:
    """A streamer of transformers: tells of the words as they are generated, thoughts and calls as the model writes
    them."""

    _MOST = 8
    """Tokens that are held back for a character that has several of them."""

    def __init__(self, tokenizer: Any, tell: Callable[[Piece], object]) -> None:
        self._tokenizer, self._tell = tokenizer, tell
        self._said: list[int] = []
        self._tokens: list[int] = []
        """What was told last, and what is not told yet."""
        self._is_prompt = True

    def put(self, value: Any) -> None:
        if self._is_prompt:
            self._is_prompt = False
            return
        self._tokens += value.flatten().tolist()
        self._say(is_last=len(self._tokens) >= self._MOST)

    def end(self) -> None:
        self._say(is_last=True)

    def _say(self, *, is_last: bool) -> None:
        # Behind what was said: alone, a token of sentencepiece's loses the space that it begins with.
        said, whole = (
            self._tokenizer.decode(tokens, skip_special_tokens=True)
            for tokens in (self._said, [*self._said, *self._tokens])
        )
        text = whole[len(said) :]
        if text and (is_last or not text.endswith("\ufffd")):
            self._said, self._tokens = self._tokens, []
            self._tell(Piece("content", text))


class _Recorder:
    """A logits processor that keeps the log-probability of each chosen token and changes nothing.

    Whole logits of a long reply would take gigabytes; one row is kept until the next step shows what was chosen.
    The figures are those of the distribution at the sampling temperature, before top_p cuts its tail.
    """

    def __init__(self, temperature: float) -> None:
        self._temperature = temperature
        self._row: Any = None
        self._kept: list[float] = []

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        if self._row is not None:
            self._kept.append(float(self._row[input_ids[0, -1]]))
        self._row = (scores[0].float() / self._temperature).log_softmax(-1)
        return scores

    def logprobs(self, written: Sequence[int]) -> tuple[float, ...]:
        if written and self._row is not None:
            return (*self._kept, float(self._row[written[-1]]))
        return ()
