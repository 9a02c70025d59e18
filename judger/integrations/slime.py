"""slime: a file of your own with `reward = reward_of("localhost:50051")`, for `--custom-rm-path` with `--group-rm`.
(Without Python between: `/reward` of docs/http.md.)

A sample's label is the rubric. The trap: `sample.remove_sample = True` takes a sample out of the loss, but the group's
mean still has whatever number it was given. So groups are judged whole: a sample without a reward is removed, and its
number is the mean of those that have one, which moves no mean. A group without any reward, and a sample that comes
alone, raises Unjudged: there is no number that would do no harm.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from judger.integrations._common import Grader, Unjudged

__all__ = ["reward_of"]


def reward_of(address: str, **settings: Any) -> Callable[..., Awaitable[Any]]:
    """slime's reward function, of a sample or of a group; `settings` are those of `Grader`."""
    grader = Grader(address=address, **settings)

    async def reward(args: Any, samples: Any, **_: Any) -> float | list[float]:
        if not isinstance(samples, list):
            graded = await grader.grade(samples.prompt, samples.response, samples.label)
            if graded.value is None:
                raise Unjudged(f"{graded.why}; with --group-rm this sample alone would be left out")
            return graded.value
        all_graded = await grader.grade_all(
            [sample.prompt for sample in samples],
            [sample.response for sample in samples],
            [sample.label for sample in samples],
        )
        known = [graded.value for graded in all_graded if graded.value is not None]
        if not known:
            raise Unjudged(f"no report of the group has a reward: {all_graded[0].why}" if all_graded else "no samples")
        mean = sum(known) / len(known)
        for sample, graded in zip(samples, all_graded, strict=True):
            if graded.value is None:
                sample.remove_sample = True
        return [mean if graded.value is None else graded.value for graded in all_graded]

    return reward
