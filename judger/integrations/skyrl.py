"""SkyRL: `register(id="checklist", entry_point="judger.integrations.skyrl:ChecklistEnv", kwargs={"address": ...})`.

One turn: the action is the report, the row's `reward_spec["ground_truth"]` the rubric. SkyRL has no missing reward:
what has none raises Unjudged. The trap: `step` blocks, in one of SkyRL's threads, and it has no deadline of its own;
ours holds, with the patience on top. Environments are made in other processes: register where those import it, by the
entry point's text, not in a notebook.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skyrl_gym.envs.base_text_env import BaseTextEnv, BaseTextEnvStepOutput

from judger.errors import InvalidRequest
from judger.integrations._common import Grader

__all__ = ["ChecklistEnv"]


class ChecklistEnv(BaseTextEnv):  # type: ignore[misc]
    """A report a rollout.

    Args:
        env_config: SkyRL's own, unread.
        extras: the row.
        address: of the server; `settings` are those of `judger.integrations._common.Grader`.
    """

    def __init__(
        self,
        env_config: Any = None,
        extras: Mapping[str, Any] | None = None,
        *,
        address: str = "localhost:50051",
        **settings: Any,
    ) -> None:
        super().__init__()
        spec = (extras or {}).get("reward_spec") or {}
        if "ground_truth" not in spec:
            raise InvalidRequest("reward_spec.ground_truth", "is missing: there is no rubric to judge by")
        self.rubric = spec["ground_truth"]
        self.prompt: Any = (extras or {}).get("prompt")
        self.grader = Grader(address=address, **settings)

    def init(self, prompt: Any) -> tuple[Any, dict[str, Any]]:
        """Keeps the prompt, which the report is judged for."""
        self.prompt = prompt
        return prompt, {}

    def step(self, action: str) -> BaseTextEnvStepOutput:
        """The last step. Raises Unjudged, InvalidRequest, Unavailable."""
        graded = self.grader.wait(self.grader.grade(self.prompt, action, self.rubric))
        return BaseTextEnvStepOutput(
            observations=[], reward=graded.needed(), done=True, metadata={}, postprocessed_action=None
        )
