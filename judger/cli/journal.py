"""What makes `judger filter`, `eval` and `compare` resumable: an output, and a journal of which lines are decided.

The journal's first line says what is being done: the digest of the input, the judge, the settings. Every other line
belongs to one case, in order: its outcome, and the size of the output behind it. A kept line is written to the output
first and to the journal then, so that a process killed at any moment leaves at most one line in the output that the
journal does not know. Resuming cuts that off and goes on behind it: no line is lost, none doubled.
"""

from __future__ import annotations

import enum
import fcntl
import json
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from judger.errors import InvalidRequest


class Fate(enum.StrEnum):
    """What became of a case."""

    KEPT = "kept"
    DROPPED = "dropped"
    UNSCORED = "unscored"
    """No reward: dropped."""
    UNSCORED_KEPT = "unscored_kept"
    """No reward, and kept all the same."""
    REFUSED = "refused"
    """Not judged: dropped."""


class Journal:
    """An output in the making. Use as a context manager.

    Args:
        output: the file of kept lines; the journal is `OUTPUT.journal`.
        key: what must be the same for a run to be continued.
        restart: throw away what an earlier run has left.

    Raises:
        InvalidRequest: the files belong to another run, to a running one, or have been changed since.
    """

    def __init__(self, output: Path, key: Mapping[str, object], *, restart: bool = False) -> None:
        self.output = output
        self.path = journal_path(output)
        self.counts: Counter[Fate] = Counter()
        existed = output.exists()
        self._journal = open(self.path, "a+b")  # noqa: SIM115 - open as long as this object is
        try:
            fcntl.flock(self._journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._journal.close()
            raise InvalidRequest(str(output), "another judger command is writing it") from error
        try:
            if restart:
                self._journal.truncate(0)
            size = self._load(dict(key), existed=existed and not restart)
            self._output = open(output, "r+b" if existed and not restart else "w+b")  # noqa: SIM115
        except BaseException:
            self._journal.close()
            raise
        try:
            self._cut_back(size)
        except BaseException:
            self._close()
            raise

    @property
    def num_done(self) -> int:
        """How many cases have been decided; those of earlier runs too."""
        return self.counts.total()

    def add(self, outcome: Fate, line: str | None = None) -> None:
        """Records the next case, with its line where it is kept."""
        if line is not None:
            self._output.write(line.encode() + b"\n")
            self._output.flush()
            self._size += len(line.encode()) + 1
        self._append([outcome.value, self._size])
        self.counts[outcome] += 1

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            os.fsync(self._output.fileno())
            os.fsync(self._journal.fileno())
        self._close()

    def _close(self) -> None:
        self._output.close()
        self._journal.close()

    def _load(self, key: dict[str, object], *, existed: bool) -> int:
        """Reads the journal, or begins one; gives the size of the output behind the last decided case."""
        self._journal.seek(0)
        whole, _, _torn = self._journal.read().rpartition(b"\n")
        lines = whole.split(b"\n") if whole else []
        if not lines:
            if existed and self.output.stat().st_size:
                self._journal.close()
                self.path.unlink()
                raise InvalidRequest(
                    str(self.output), "exists, and no journal beside it: remove it, or give --restart to write it anew"
                )
            self._journal.truncate(0)
            self._append(key)
            return 0
        available = self.output.stat().st_size if existed else 0
        size, end = 0, len(lines[0]) + 1
        try:
            self._check_key(json.loads(lines[0]), key)
            for line in lines[1:]:
                outcome, after = json.loads(line)
                if after > available:
                    break  # the output has lost its end: from here on everything is judged again
                self.counts[Fate(outcome)] += 1
                size, end = after, end + len(line) + 1
        except (ValueError, TypeError) as error:
            raise InvalidRequest(str(self.path), "is no journal of judger's; give --restart") from error
        self._journal.truncate(end)
        return size

    def _check_key(self, found: object, key: dict[str, object]) -> None:
        was = found if isinstance(found, dict) else {}
        for name, value in json.loads(json.dumps(key)).items():
            if was.get(name) != value:
                raise InvalidRequest(
                    str(self.output),
                    f"was begun with another {name} ({was.get(name)}, now {value}): use the same again, write to "
                    "another file, or give --restart to begin anew",
                )

    def _cut_back(self, size: int) -> None:
        """Takes from the output the line that was being written when the earlier run ended."""
        self._output.seek(max(0, size - 1))
        before = self._output.read(min(1, size))
        tail = self._output.read()
        if before not in (b"", b"\n") or b"\n" in tail[:-1]:
            raise InvalidRequest(
                str(self.output), f"is not what {self.path} says: it has been changed; give --restart to write it anew"
            )
        self._output.truncate(size)
        self._output.seek(size)
        self._size = size

    def _append(self, entry: object) -> None:
        self._journal.write(json.dumps(entry, separators=(",", ":")).encode() + b"\n")
        self._journal.flush()


def journal_path(output: Path) -> Path:
    """Where the journal of an output lies."""
    return output.with_name(output.name + ".journal")
