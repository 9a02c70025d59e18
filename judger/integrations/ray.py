"""Ray Data: `judged(dataset, "localhost:50051")` is the data set with `reward` and `unscored`.

Columns of the data have prompt, report and rubric. `reward` is null where there is none, and `unscored` says why. The
trap: a batch of numpy has no null, its NaN counts as a value, and `mean` becomes NaN; so batches are Arrow's. What only
the moment is to blame for (a deadline, overload) raises Unjudged, which fails the block. Ray Serve and Ray Core need
nothing of this module: a client is pickled, and opens its channel where it is used.
"""

from __future__ import annotations

from typing import Any

from judger.errors import InvalidRequest
from judger.integrations._common import Grader, Unjudged

__all__ = ["Judged", "judged"]


def judged(dataset: Any, address: str, *, batch_size: int = 256, **settings: Any) -> Any:
    """The data set with the two columns; the rest goes to `Judged`."""
    return dataset.map_batches(
        Judged(address, **settings), batch_format="pyarrow", batch_size=batch_size, zero_copy_batch=True
    )


class Judged:
    """A function for `map_batches(..., batch_format="pyarrow")`.

    Args:
        address: of the server; `settings` are those of `judger.integrations._common.Grader`, the lane is bulk.
        prompt, report, rubric: names of columns; a data set without the first has no query.
    """

    def __init__(
        self, address: str, *, prompt: str = "prompt", report: str = "report", rubric: str = "rubric", **settings: Any
    ) -> None:
        self.prompt, self.report, self.rubric = prompt, report, rubric
        self.grader = Grader(address=address, **({"lane": "bulk"} | settings))

    def __call__(self, batch: Any) -> Any:
        """The table with the new columns. Raises Unjudged, InvalidRequest, Unavailable."""
        import pyarrow

        if not isinstance(batch, pyarrow.Table):
            raise InvalidRequest("map_batches", 'give batch_format="pyarrow": numpy has no missing number')
        for name in (self.report, self.rubric):
            if name not in batch.column_names:
                raise InvalidRequest(name, "is no column of the data")
        columns = [
            batch[name].to_pylist() if name in batch.column_names else [""] * batch.num_rows
            for name in (self.prompt, self.report, self.rubric)
        ]
        graded = self.grader.wait(self.grader.grade_all(*columns))
        for one in graded:
            if one.passing:
                raise Unjudged(one.why)
        rewards = pyarrow.array([one.value for one in graded], pyarrow.float64())
        reasons = pyarrow.array([one.why or None for one in graded], pyarrow.string())
        return batch.append_column("reward", rewards).append_column("unscored", reasons)
