"""AReaL: `reward_fn=ChecklistReward("localhost:50051")`, a callable that its process pool can pickle.

A column of the data has the rubric. The trap: AReaL gives a reward 15 seconds, tries four times, and then takes 0 for
it. So the judge's own deadline stays below (12 seconds, no waiting for a server that is away), and what has no reward
raises Unjudged in good time, which AReaL shows as an error. A longer deadline is refused.
"""

from __future__ import annotations

from typing import Any

from judger.errors import InvalidRequest
from judger.integrations._common import Grader

__all__ = ["ChecklistReward"]

ITS_TIMEOUT = 15.0
"""Seconds that AReaL gives a reward by default."""


class ChecklistReward:
    """A blocking reward function.

    Args:
        address: of the server; `settings` are those of `judger.integrations._common.Grader`.
        column: of the data, with the rubric.
        its_timeout: AReaL's own, where that was changed; ours has to be shorter.
    """

    def __init__(
        self,
        address: str,
        *,
        column: str = "rubric",
        its_timeout: float = ITS_TIMEOUT,
        timeout: float = 12.0,
        **settings: Any,
    ) -> None:
        if timeout >= its_timeout:
            raise InvalidRequest("timeout", f"must be under AReaL's own {its_timeout:g} s: later it takes 0 for it")
        self.column = column
        self.grader = Grader(address=address, timeout=timeout, **({"patience": 0.0} | settings))

    def __call__(
        self, prompt: Any, completions: Any, prompt_ids: Any = None, completion_ids: Any = None, **row: Any
    ) -> float:
        """The reward. Raises Unjudged, InvalidRequest, Unavailable."""
        if self.column not in row:
            raise InvalidRequest(self.column, "is no column of the data: there is no rubric to judge by")
        return self.grader.wait(self.grader.grade(prompt, completions, row[self.column])).needed()
