"""Ray Data: `judged(dataset, "localhost:50051")` is the data set with `reward` and `unscored`.

Columns of the data have prompt, report and rubric. `reward` is null where there is none, and `unscored` says why. The
trap: a batch of numpy has no null, its NaN counts as a value, and `mean` becomes NaN; so batches are Arrow's. What only
the moment is to blame for (a deadline, overload) raises Unjudged, which fails the block. Ray Serve and Ray Core need
nothing of this module: a client is pickled, and opens its channel where it is used.
"""

from __future__ import annotations

from typing import Any

from judger.errors import InvalidRequest
from judger.integrations._common import ColumnGrader

__all__ = ["Judged", "judged"]


def judged(dataset: Any, address: str, *, batch_size: int = 256, **settings: Any) -> Any:
    """The data set with the two columns; the rest goes to `Judged`."""
    return dataset.map_batches(
        Judged(address, **settings), batch_format="pyarrow", batch_size=batch_size, zero_copy_batch=True
    )


class Judged(ColumnGrader):
    """A function for `map_batches(..., batch_format="pyarrow")`."""

    def __call__(self, batch: Any) -> Any:
        """The table with the new columns. Raises Unjudged, InvalidRequest, Unavailable."""
        import pyarrow

        if not isinstance(batch, pyarrow.Table):
            raise InvalidRequest("map_batches", 'give batch_format="pyarrow": numpy has no missing number')
        graded = self.graded(batch.column_names, lambda name: batch[name].to_pylist())
        rewards = pyarrow.array([one.value for one in graded], pyarrow.float64())
        reasons = pyarrow.array([one.why or None for one in graded], pyarrow.string())
        return batch.append_column("reward", rewards).append_column("unscored", reasons)
