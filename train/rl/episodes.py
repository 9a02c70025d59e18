"""Tasks x group through the real agent and its real tools, as token sequences.

The agent is `policy.agent.Agent` on the tools that the settings name; nothing of it is written here a second time. What
a training run adds: workspaces that are thrown away, a cache of identical queries shared by all episodes (Step-
DeepResearch, arXiv 2512.20491, section 4), and an account of who is to blame for an episode without a report.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from policy.agent import Agent
from policy.config import Settings
from policy.episode import Episode
from policy.events import Observed, Replied, Started
from policy.kit import Shared, open_kit, system_prompt
from policy.rollouts import Task
from policy.workspace.removal import temporary_folder
from train.outcomes import blame_of
from train.rl.sampler import Sampler, Seat
from train.rl.tokens import Sequence as Tokens
from train.toolcache import ToolCache

__all__ = ["Episodes", "Order", "Rollout", "seed_of"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Order:
    """One episode to run."""

    task: Task
    number: int
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """What an episode came to."""

    order: Order
    report: str = ""
    status: str = "failed"
    reason: str = ""
    blame: Literal["", "policy", "system"] = ""
    """Who is to blame where there is no report: the policy that wrote none, or the system under it."""
    sequences: tuple[Tokens, ...] = ()
    turns: int = 0
    tool_calls: int = 0
    tool_errors: int = 0
    malformed: int = 0

    @property
    def num_sampled(self) -> int:
        """Tokens that the policy wrote."""
        return sum(sum(sequence.mask) for sequence in self.sequences)


class Episodes:
    """Runs orders. Episodes of one call run at the same time, share the sampler's batches and end in any order."""

    def __init__(self, settings: Settings, shared: Shared, sampler: Sampler, *, cache: ToolCache | None = None) -> None:
        self._settings, self._shared, self._sampler = settings, shared, sampler
        self._cache = ToolCache() if cache is None else cache
        self._system = system_prompt(settings)
        self._dumped = settings.model_dump(mode="json")

    async def run(
        self, orders: Sequence[Order], on_end: Callable[[int, Rollout], None] = lambda i, rollout: None
    ) -> list[Rollout]:
        """All rollouts in the order of `orders`; `on_end(position, rollout)` as each ends."""
        # All seats before the first episode, so that the first batch is full.
        seats = [self._sampler.seat(order.seed) for order in orders]
        with temporary_folder("episodes-") as folder:

            async def one(position: int, order: Order, seat: Seat) -> Rollout:
                try:
                    rollout = await self._episode(order, seat, folder / str(position))
                except Exception as error:  # one episode must not end the others; it is logged with its trace
                    log.exception("episode %s/%d failed", order.task.id, order.number)
                    reason = f"{type(error).__name__}: {error}"
                    rollout = Rollout(order=order, reason=reason, blame="system", sequences=seat.sequences())
                finally:
                    await seat.aclose()
                on_end(position, rollout)
                return rollout

            return await asyncio.gather(*map(one, range(len(orders)), orders, seats))

    async def _episode(self, order: Order, seat: Seat, folder: Path) -> Rollout:
        async with open_kit(self._settings, folder, self._shared) as kit:
            tools = self._cache.of(kit.tools)
            episode = Episode()
            kit.take_up(episode)
            episode.apply(
                Started(
                    id=f"{order.task.id}/{order.number}",
                    query=order.task.query,
                    system=self._system,
                    model=seat.name,
                    tools=tools.schemas,
                    settings=self._dumped,
                    task=order.task.id,
                )
            )
            agent = Agent(seat, tools, kit.workspace, self._settings.agent, plan=lambda: str(kit.todo))
            await agent.run(episode)
        return _rollout(order, episode, seat)


def seed_of(*parts: int | str) -> int:
    """A seed that follows from its parts and nothing else, the same in every process."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:7], "big")


def _rollout(order: Order, episode: Episode, seat: Seat) -> Rollout:
    finished = episode.finished
    assert finished is not None
    observed = [event for event in episode.events if isinstance(event, Observed)]
    return Rollout(
        order=order,
        report=finished.report,
        status=finished.status,
        reason=finished.reason,
        blame=blame_of(episode, is_full=seat.is_full),
        sequences=seat.sequences(),
        turns=episode.turns,
        tool_calls=episode.tool_calls,
        tool_errors=sum(event.is_error for event in observed),
        malformed=sum(len(event.malformed) for event in episode.events if isinstance(event, Replied)),
    )
