"""Room in a history: which turns are taken out, and the message that stands for them."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from policy import context, handin
from policy.episode import Episode
from policy.errors import ModelAway, ModelError, ToolError
from policy.events import Compacted
from policy.model import Completion, Message, Model, Schema
from policy.workspace.files import Workspace

__all__ = ["compacted", "keep_from"]

_THOUGHT_TOKENS = 4096
"""Some models think before they write."""

log = logging.getLogger(__name__)


def keep_from(episode: Episode, turns: int, target: float) -> int | None:
    """The message from which on the history is kept: that of the last `turns` turns, or of fewer where these have more
    than `target` tokens. None where there is nothing to take out."""
    keep = min(turns, len(episode.turn_starts) - 1)
    while keep > 1 and sum(map(context.estimate_tokens, episode.messages[episode.turn_starts[-keep] :])) > target:
        keep -= 1
    if keep < 1 or episode.turn_starts[-keep] <= episode.keep_from:
        return None
    return episode.turn_starts[-keep]


async def compacted(
    episode: Episode,
    keep_from: int,
    plan: str,
    workspace: Workspace,
    most: int,
    writer: tuple[Model, Sequence[Schema]] | None,
) -> Compacted:
    """The summary of what stands before `keep_from`, of about `most` characters: extracts, or what a `writer` says.
    Raises ModelAway."""
    try:
        files = [entry.path for entry in workspace.list()[0]]
    except ToolError:
        files = []  # the shell may have taken the folder away
    start = time.perf_counter()
    words = max(60, most // 16)  # about half of the room
    reply = Completion() if writer is None else await _summed_up(episode, keep_from, words, *writer)
    written = handin.words(reply)
    if len(written) > most:
        written = f"{written[:most].rstrip()} [cut off here: it was to have {words} words]"
    return Compacted(
        turn=episode.turns,
        keep_from=keep_from,
        summary=context.compaction(episode.messages, keep_from, plan, episode.sources, files, most, written),
        written=written,
        prompt_tokens=reply.prompt_tokens,
        completion_tokens=reply.completion_tokens,
        seconds=0.0 if writer is None else time.perf_counter() - start,
    )


async def _summed_up(episode: Episode, keep_from: int, words: int, model: Model, tools: Sequence[Schema]) -> Completion:
    """What the model says of the turns that are taken out; an empty reply where it says nothing."""
    asked: Message = {"role": "user", "content": context.summary_request(words)}
    messages = [*episode.before(keep_from), asked]  # a prefix of what it was asked before, with the same tools
    try:
        return await model.complete(messages, tools, max_tokens=3 * words + _THOUGHT_TOKENS, use_tools=False)
    except ModelAway:
        raise
    except ModelError as error:
        log.warning("the model does not sum up its turns, extracts stand in their place: %s", error)
        return Completion()
