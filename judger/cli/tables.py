"""Results as a table: OUT.parquet, or OUT.dataset, a folder that `datasets.load_from_disk` opens."""

from __future__ import annotations

import json
from pathlib import Path

from judger.errors import InvalidRequest

__all__ = ["ENDINGS", "check_table", "lines_path", "write_table"]

ENDINGS = (".parquet", ".dataset")


def lines_path(output: Path) -> Path:
    """Where the lines are while a table is made; left there where they don't make one."""
    return output.with_name(output.name + ".jsonl")


def check_table(output: Path) -> None:
    """Raises InvalidRequest where what writes it is not installed, before any work is done."""
    try:
        import pyarrow.parquet  # noqa: F401

        if output.suffix == ".dataset":
            import datasets  # noqa: F401
    except ImportError as error:
        wanted = "datasets" if output.suffix == ".dataset" else "pyarrow"
        raise InvalidRequest(str(output), f"{wanted} is missing: pip install {wanted}, or write .jsonl") from error
    if output.is_dir():
        raise InvalidRequest(str(output), "is there already: name another folder")


def write_table(lines: Path, output: Path) -> None:
    """Makes the table of a file of JSON lines. Raises InvalidRequest where they don't fit into columns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with open(lines, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    unfinished = output.with_name(output.name + ".part")
    try:
        table = pa.Table.from_pylist(rows)
        if output.suffix == ".dataset":
            import datasets

            datasets.disable_progress_bars()
            datasets.Dataset(table).save_to_disk(str(output))
        else:
            pq.write_table(table, unfinished)
            unfinished.replace(output)
    except (pa.ArrowException, ValueError, OverflowError) as error:
        unfinished.unlink(missing_ok=True)
        why = " ".join(str(error).split())[:200]
        raise InvalidRequest(str(output), f"the lines make no table ({why}); they are in {lines}") from error
