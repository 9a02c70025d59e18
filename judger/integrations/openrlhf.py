"""OpenRLHF: a file of your own with `reward_func = reward_func_of("localhost:50051")`, named by `--reward.remote_url`.
(Without Python between: `/get_reward` of docs/http.md.)

The labels are the rubrics. Queries are prompt and response in one text, with special tokens: one that doesn't begin
with its prompt is refused. OpenRLHF has no missing value: a report without a reward raises Unjudged. The trap: its
executor logs what a reward function raises, at level info, and goes on with None for the reward. Where that is not
wanted, `unscored=NUMBER` is what a missing one counts as; then `extra_logs["unscored"]` says where.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from judger.client.completions import answer_of, without_marks
from judger.errors import InvalidRequest
from judger.integrations._common import Grader, Unjudged

__all__ = ["reward_func_of"]


def reward_func_of(address: str, *, unscored: float | None = None, **settings: Any) -> Callable[..., dict[str, Any]]:
    """OpenRLHF's reward function; `settings` are those of `Grader`."""
    grader = Grader(address=address, **settings)

    def reward_func(
        queries: Sequence[str], prompts: Sequence[str], labels: Sequence[object], **_: Any
    ) -> dict[str, Any]:
        if not len(queries) == len(prompts) == len(labels):
            raise InvalidRequest("queries", "prompts and labels must be as many")
        pairs = enumerate(zip(queries, prompts, strict=True))
        answers = [answer_of(query, prompt, f"queries[{i}]") for i, (query, prompt) in pairs]
        graded = grader.wait(grader.grade_all([without_marks(prompt) for prompt in prompts], answers, labels))
        rewards = []
        for i, one in enumerate(graded):
            value = unscored if one.value is None else one.value
            if value is None:
                raise Unjudged(f"queries[{i}]: {one.why}")
            rewards.append(value)
        missing = [float(one.value is None) for one in graded]
        scores = [min(1.0, max(0.0, reward)) for reward in rewards]
        return {"rewards": rewards, "scores": scores, "extra_logs": {"unscored": missing}}

    return reward_func
