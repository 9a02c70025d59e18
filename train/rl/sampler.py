"""One model for many episodes: replies that are asked for at the same time are generated together.

A batch starts when every episode that is under way waits for the model, or when for `linger` seconds none has joined
(the others wait for tools). One thread owns the device; the event loop, with the tools and the judger's stream in it,
goes on meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch

from policy.errors import ContextFull, ModelError
from policy.model import Completion, Message, Schema
from policy.models import hermes
from train.rl.decode import KeysValues, Row, Written
from train.rl.template import ChatTemplate
from train.rl.tokens import Conversation
from train.rl.tokens import Sequence as Tokens
from train.rl.writer import Local, Writer

__all__ = ["Sampler", "Seat"]


@dataclass(frozen=True, slots=True)
class _Request:
    seat: int
    row: Row
    answer: asyncio.Future[Written]


class Sampler:
    """`model` and `tokenizer` as transformers gives them. `seat` gives each episode its own `policy.model.Model`.

    Args:
        temperature: of the sampling; 0 takes the likeliest token.
        turn_tokens: the most tokens of a reply, under the limit that the agent itself gives; None for that alone.
        batch: the most episodes in one batch; None for all that wait. As many start one at once.
        linger: seconds without a new request after which a batch starts without the episodes that wait for tools.
        writer: who writes; the model itself by default. Of `model` only the config is used then.
        threads: batches under way at the same time.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        name: str = "policy",
        temperature: float = 1.0,
        turn_tokens: int | None = None,
        batch: int | None = None,
        linger: float = 0.2,
        writer: Writer | None = None,
        threads: int = 1,
    ) -> None:
        self.model, self.tokenizer, self.name = model, tokenizer, name
        self.template = ChatTemplate(tokenizer)
        self.turn_tokens = turn_tokens
        self.window: int | None = getattr(model.config, "max_position_embeddings", None)
        self._temperature, self._batch, self._linger = temperature, batch, linger
        # Not what else a generation config may list: a reply that ended there would lack its end mark.
        self._ends = frozenset({tokenizer.eos_token_id})
        self._writer = writer or Local(model)
        self._num_threads = threads
        self._thread = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="sampler")
        self._live: set[int] = set()
        self._waiting: list[_Request] = []
        self._timer: asyncio.TimerHandle | None = None
        self._num_busy = 0
        self._num_seats = 0

    def seat(self, seed: int) -> Seat:
        """A place for one episode, whose sampling follows from `seed` alone. The episode ends with `aclose`."""
        self._num_seats += 1
        self._live.add(self._num_seats)
        return Seat(self, self._num_seats, seed)

    async def reply(self, seat: int, row: Row) -> Written:
        """Wait for the batch that this row is generated in. Raises ModelError where generation fails."""
        answer: asyncio.Future[Written] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Request(seat, row, answer))
        self._look()
        return await answer

    def leave(self, seat: int) -> None:
        """The episode is over: nobody waits for it any more."""
        self._live.discard(seat)
        self._look()

    def close(self) -> None:
        """End the threads."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._writer.close()

    def _look(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._num_busy >= self._num_threads or not self._waiting:
            return
        if len(self._waiting) >= min(len(self._live), self._batch or len(self._live)):
            self._start()
            self._look()
        else:
            self._timer = asyncio.get_running_loop().call_later(self._linger, self._start)

    def _start(self) -> None:
        self._timer = None
        self._waiting = [request for request in self._waiting if not request.answer.done()]
        # In the order of the seats, so that the same episodes make the same batch.
        ordered = sorted(self._waiting, key=lambda request: request.seat)
        batch = ordered[: self._batch] if self._batch else ordered
        self._waiting = ordered[len(batch) :]
        if not batch:
            return
        self._num_busy += 1
        future = asyncio.get_running_loop().run_in_executor(self._thread, self._generate, [r.row for r in batch])
        future.add_done_callback(lambda done: self._hand_out(batch, done))

    def _generate(self, rows: list[Row]) -> list[Written]:
        return self._writer.write(rows, self._ends, temperature=self._temperature)

    def _hand_out(self, batch: Sequence[_Request], done: asyncio.Future[list[Written]]) -> None:
        self._num_busy -= 1
        error = None if done.cancelled() else done.exception()
        for number, request in enumerate(batch):
            if request.answer.done():
                continue
            if done.cancelled():
                request.answer.cancel()
            elif error is not None:
                failure = ModelError(f"generation failed: {error}")
                failure.__cause__ = error
                request.answer.set_exception(failure)
            else:
                request.answer.set_result(done.result()[number])
        # Those who were just answered come back at once or wait for tools: `_look` runs when they do.
        asyncio.get_running_loop().call_soon(self._look)


class Seat:
    """The model of one episode. Histories are token-exact: ids so far, and the tokens of what was added."""

    def __init__(self, sampler: Sampler, number: int, seed: int) -> None:
        self._sampler, self._number = sampler, number
        self._conversation = Conversation(sampler.template)
        self._random = torch.Generator().manual_seed(seed)
        self._cached: KeysValues | None = None
        self._replies = 0
        self.is_full = False
        """Whether the episode outgrew the model's window."""

    @property
    def name(self) -> str:
        return self._sampler.name

    async def complete(
        self, messages: Sequence[Message], tools: Sequence[Schema], *, max_tokens: int, use_tools: bool = True
    ) -> Completion:
        """One reply. The tools stay where the first prompt showed them, also in a last turn without their use."""
        ids = self._conversation.prompt(messages, tools)
        room = self._room(len(ids), max_tokens)
        row = Row(ids, None if self._conversation.is_new else self._cached, self._uniforms(room))
        written = await self._sampler.reply(self._number, row)
        self._cached = written.cached
        self._conversation.reply(written.ids, written.logprobs, has_ended=written.has_ended)
        self._replies += 1
        return hermes.completion(
            self._sampler.tokenizer,
            ids,
            written.ids,
            has_ended=written.has_ended,
            tools=tools,
            id_prefix=f"call_{self._replies}",
            logprobs=written.logprobs,
        )

    def sequences(self) -> tuple[Tokens, ...]:
        """What was prompted and sampled so far."""
        return self._conversation.sequences()

    async def aclose(self) -> None:
        self._cached = None
        self._sampler.leave(self._number)

    def _room(self, length: int, max_tokens: int) -> int:
        window, turn = self._sampler.window, self._sampler.turn_tokens
        if window is not None and length + 1 > window:
            self.is_full = True
            raise ContextFull(f"the prompt has {length} tokens, the model takes {window}")
        limits = [max_tokens, *([window - length] if window else ()), *([turn] if turn else ())]
        return min(limits)

    def _uniforms(self, count: int) -> torch.Tensor:
        return torch.rand(count, generator=self._random, dtype=torch.float64)
