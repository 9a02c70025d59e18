"""A line in the log for each request: who asked, how it ended, what it took; never the texts unless that is asked for.

The service opens an entry when a request comes, tells it of each case that was judged, and closes it once.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from judger.observe.tracing import Tracing
from judger.types import Case, Judgement, Unscored

__all__ = ["Request", "RequestLog"]

logger = logging.getLogger(__name__)

LONGEST_ID = 200
"""Characters of a caller's request_id that are logged: a request that is refused for a longer one is logged, too."""


@dataclass(eq=False, slots=True)
class Request:
    """A request on its way."""

    method: str
    asked_id: str = ""
    """The caller's request_id, once it is read."""
    began: float = field(default_factory=time.monotonic)
    caller: str = ""
    lane: str = ""
    cases: int = 0
    criteria: int = 0
    cached: int = 0
    joined: int = 0
    refused: int = 0
    """Reports of a group that could not be judged: blank, too large."""
    queue_seconds: float = 0.0
    engine_seconds: float = 0.0
    """The longest of its cases; so is `queue_seconds`."""
    unscored: Counter[str] = field(default_factory=Counter)
    texts: list[dict[str, Any]] = field(default_factory=list)
    is_closed: bool = False
    own_id: str = field(default_factory=partial(secrets.token_hex, 8))

    @property
    def request_id(self) -> str:
        """The caller's, or one of ours, so that the request's lines can be told from others'."""
        return self.asked_id[:LONGEST_ID] or self.own_id


class RequestLog:
    """Writes the lines.

    Args:
        with_texts: query, report and criteria of every judged case, too.
        tracing: whose ids join the lines with its traces.
    """

    def __init__(self, judge_id: str, tracing: Tracing, *, with_texts: bool = False) -> None:
        self.judge_id = judge_id
        self.tracing = tracing
        self.with_texts = with_texts

    def open(self, method: str, caller: str = "") -> Request:
        """A request has come, of which nothing is read yet."""
        return Request(method, caller=caller)

    def judged(self, entry: Request, case: Case, judgement: Judgement) -> None:
        """One of its cases has been judged."""
        usage = judgement.usage
        entry.cases += 1
        entry.criteria += len(case.criteria)
        entry.cached += usage.cached_criteria
        entry.joined += usage.joined_criteria
        entry.queue_seconds = max(entry.queue_seconds, usage.queue_seconds)
        entry.engine_seconds = max(entry.engine_seconds, usage.engine_seconds)
        entry.unscored.update(one.result.reason.value for one in judgement.verdicts if isinstance(one.result, Unscored))
        if self.with_texts:
            criteria = [one.text for one in case.criteria]
            entry.texts.append({"query": case.query, "report": case.report, "criteria": criteria})

    def close(self, entry: Request, code: str, reason: str = "") -> None:
        """The request has ended with this status. Only the first of several ends counts."""
        if entry.is_closed:
            return
        entry.is_closed = True
        # What broke here is an error of ours; what was refused is the log of a healthy server.
        level = logging.ERROR if code in ("INTERNAL", "UNKNOWN") else logging.INFO
        if logger.isEnabledFor(level):
            logger.log(level, "%s %s", entry.method, code, extra={"fields": self._fields(entry, code, reason)})

    def _fields(self, entry: Request, code: str, reason: str) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "request_id": entry.request_id,
            "method": entry.method,
            "status": code,
            "seconds": round(time.monotonic() - entry.began, 6),
            "queue_seconds": round(entry.queue_seconds, 6),
            "engine_seconds": round(entry.engine_seconds, 6),
            "lane": entry.lane,
            "cases": entry.cases,
            "criteria": entry.criteria,
            "cached": entry.cached,
            "joined": entry.joined,
            "judge_id": self.judge_id,
        }
        more = {
            "caller": entry.caller,
            "reason": reason,
            "refused": entry.refused,
            "unscored": dict(entry.unscored),
            "texts": entry.texts,
        }
        return fields | {key: value for key, value in more.items() if value} | dict(self.tracing.ids())
