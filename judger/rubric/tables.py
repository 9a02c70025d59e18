"""Rows of a Parquet file, or of a data set that `datasets` saved to a folder, as JSON texts.

A row becomes the object that a line of JSON would be; an empty cell is a member that isn't there. Both need pyarrow,
which comes with `datasets`.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from judger.rubric.place import Faults

__all__ = ["is_table", "rows"]

BATCH = 64
"""Rows in memory at a time."""
STATE = "state.json"
"""What `Dataset.save_to_disk` writes beside the data."""


def is_table(path: str | Path) -> bool:
    """Whether a path is read as a table: by its ending, or as a folder."""
    try:
        return Path(path).name.lower().endswith(".parquet") or Path(path).is_dir()
    except (OSError, ValueError):
        return False


def rows(path: str | Path, faults: Faults) -> Iterator[tuple[int, str]]:
    """(row from 1 on, its JSON). What can't be read is a fault."""
    try:
        import pyarrow as pa
    except ImportError:
        faults.add(1, "file", "is a table, and pyarrow is not installed: pip install pyarrow, or export JSON lines")
        return
    number = 0
    try:
        for batch in _batches(Path(path), faults):
            for row in batch.to_pylist():
                number += 1
                try:
                    yield number, json.dumps(_present(row), ensure_ascii=False, default=_plain)
                except TypeError as error:
                    faults.add(number, "row", str(error))
    except (pa.ArrowException, OSError) as error:  # pyarrow's own ArrowInvalid is a ValueError, too
        faults.add(number + 1, "file", f"can't be read as a table: {' '.join(str(error).split())[:200]}")


def _batches(path: Path, faults: Faults) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_dir():
        with pq.ParquetFile(path) as file:
            yield from file.iter_batches(batch_size=BATCH)
        return
    if (path / "dataset_dict.json").is_file():
        splits = ", ".join(sorted(entry.name for entry in path.iterdir() if (entry / STATE).is_file()))
        faults.add(1, "file", f"is a data set of several splits: name one of them ({splits})")
        return
    try:
        files = [entry["filename"] for entry in json.loads((path / STATE).read_text("utf-8"))["_data_files"]]
        inside = all(isinstance(name, str) and Path(name).name == name for name in files)
    except (OSError, ValueError, KeyError, TypeError):
        faults.add(
            1,
            "file",
            f"can't be read: a folder, and no data set that datasets has saved (its {STATE} is missing or broken)",
        )
        return
    if not inside:
        faults.add(1, "file", f"names data outside of its folder in {STATE}")
        return
    for name in files:
        with pa.memory_map(str(path / name)) as source, pa.ipc.open_stream(source) as stream:
            for batch in stream:
                for start in range(0, batch.num_rows, BATCH):
                    yield batch.slice(start, BATCH)


def _present(value: object) -> object:
    """Without the members that are empty cells."""
    if isinstance(value, dict):
        return {key: _present(member) for key, member in value.items() if member is not None}
    return [_present(member) for member in value] if isinstance(value, list) else value


def _plain(value: object) -> object:
    if isinstance(value, (datetime.date, datetime.datetime, datetime.time)):
        return value.isoformat()
    raise TypeError(f"holds a {type(value).__name__}, which JSON has no value for")
