"""TRL's GRPOTrainer and its like: `reward_funcs=[ChecklistReward("localhost:50051")]`.

A column of the data set has the rubrics (`judger.given`). Prompts and completions may be texts or chat messages.
A report without a reward is None, and TRL leaves its row out of the group.

The trap: with several reward functions TRL masks a row only where *all* of them gave None; else the missing one counts
as 0 in the group's mean. So other rewards are `parts` of this one: a row without a checklist reward has none at all.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from judger.errors import InvalidRequest
from judger.integrations._common import Grader

__all__ = ["ChecklistReward"]

Part = Callable[..., Any]


class ChecklistReward:
    """An async reward function.

    Args:
        address: of the server; `settings` are those of `judger.integrations._common.Grader`.
        column: of the data set, with the rubrics.
        weight: of the checklist's reward.
        parts: (reward function of TRL's kind, weight); a None of theirs leaves the row without a reward, too.
    """

    def __init__(
        self,
        address: str,
        *,
        column: str = "rubric",
        weight: float = 1.0,
        parts: Sequence[tuple[Part, float]] = (),
        **settings: Any,
    ) -> None:
        self.grader = Grader(address=address, **settings)
        self.column, self.weight, self.parts = column, weight, tuple(parts)
        self.__name__ = "checklist"  # TRL logs it under this name

    async def __call__(self, prompts: list[Any], completions: list[Any], **columns: Any) -> list[float | None]:
        """A reward a row. Raises InvalidRequest where the data has no such column."""
        if self.column not in columns:
            raise InvalidRequest(self.column, "is no column of the data: there are no rubrics to judge by")
        graded = await self.grader.grade_all(prompts, completions, columns[self.column])
        rewards = [None if one.value is None else self.weight * one.value for one in graded]
        for part, weight in self.parts:
            values = part(prompts=prompts, completions=completions, **columns)
            values = await values if inspect.isawaitable(values) else values
            rewards = [
                None if mine is None or value is None else mine + weight * value
                for mine, value in zip(rewards, values, strict=True)
            ]
        if (log_metric := columns.get("log_metric")) is not None:
            log_metric("checklist/unscored", sum(one.value is None for one in graded) / max(1, len(graded)))
        return rewards
