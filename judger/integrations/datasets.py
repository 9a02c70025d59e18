"""datasets: `judged(dataset, "localhost:50051")` is the data set with `reward` and `unscored`.

Columns of the data have prompt, report and rubric. `reward` is None where there is none, and `unscored` says why. The
trap: `map` keeps its results on disk, and with them a None that only the moment was to blame for. So a deadline that
passed, or an overloaded judge, raises Unjudged instead: run it again, and what the server has judged is not judged
again. And a first batch without any reward would make a column of nulls for good: the columns' types are stated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from judger.errors import InvalidRequest
from judger.integrations._common import ColumnGrader

__all__ = ["Judged", "judged"]


def judged(dataset: Any, address: str, *, map_options: Mapping[str, Any] | None = None, **settings: Any) -> Any:
    """The data set with the two columns. `map_options` go to its `map` (num_proc, batch_size); the rest to `Judged`."""
    from datasets import Value

    features = dataset.features.copy() | {"reward": Value("float64"), "unscored": Value("string")}
    return dataset.map(
        Judged(address, **settings), batched=True, features=type(dataset.features)(features), **(map_options or {})
    )


class Judged(ColumnGrader):
    """A function for a batched `map`, in any number of processes."""

    def __call__(self, batch: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
        """The new columns. Raises Unjudged, InvalidRequest, Unavailable."""
        if isinstance(batch.get(self.report), str):
            raise InvalidRequest("map", "give batched=True: one row at a time would be one request at a time")
        graded = self.graded(list(batch), lambda name: batch[name])
        return {"reward": [one.value for one in graded], "unscored": [one.why or None for one in graded]}
