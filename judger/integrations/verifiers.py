"""verifiers: `judges=[{"id": "checklist-judger", "address": "localhost:50051"}]` in a task's configuration.

A judge's id names a *top-level* module, so `checklist_judger` stands beside the packages and exports this class. The
rubric is a field of the task's data. What has no reward raises Unjudged: verifiers records a TaskError and leaves the
reward None, where a number would have been trained on. The trap: a judge is built anew from its configuration for each
rollout, and has an endpoint's settings (model, base_url, sampling, prompt) that mean nothing here: they are refused.
"""

from __future__ import annotations

from typing import Any, Literal

import verifiers.v1 as vf
from pydantic import Field, model_validator

from judger.integrations._common import Grader

__all__ = ["ChecklistJudge", "ChecklistJudgeConfig"]

NOT_OURS = frozenset({"model", "base_url", "sampling", "prompt"})


class ChecklistJudgeConfig(vf.JudgeConfig):  # type: ignore[misc]
    """Where the judge is; `settings` are those of `judger.integrations._common.Grader`."""

    id: str = "checklist-judger"
    address: str = "localhost:50051"
    rubric: str = "rubric"
    """The field of the task's data with the rubric."""
    view: Literal["last_reply", "full_trace"] = "last_reply"
    """What is the report: the last reply, or the transcript."""
    settings: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _nothing_that_does_nothing(self) -> ChecklistJudgeConfig:
        defaults = type(self).model_fields
        given = [name for name in sorted(NOT_OURS) if getattr(self, name) != defaults[name].get_default()]
        if given:
            raise ValueError(f"{', '.join(given)}: of a language model's endpoint; this judge has `address`")
        return self


class ChecklistJudge(vf.Judge[float, ChecklistJudgeConfig]):  # type: ignore[misc]
    """The reward by the task's checklist."""

    async def score(self, task: Any, trace: Any) -> float:
        """The reward. Raises Unjudged, InvalidRequest, Unavailable."""
        settings = {"lane": "training"} | self.config.settings
        grader = Grader(address=self.config.address, **settings)
        report = trace.transcript if self.config.view == "full_trace" else trace.last_reply
        graded = await grader.grade(task.prompt_text, report, getattr(task, self.config.rubric, None))
        return graded.needed()
