"""Taking away a folder that an agent could write in, whatever it has put there.

`shutil.rmtree` recurses (up to Python 3.12 at least), so that a thousand nested folders end it with RecursionError even
where errors are to be ignored; and no path is longer than the system's limit. Here each folder is lifted to the top
before it is emptied, so that neither depth nor length matters.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["discard", "remove_tree", "temporary_folder"]

log = logging.getLogger(__name__)


def remove_tree(folder: Path) -> None:
    """Remove a folder and all in it; links are removed and not followed. Nothing is done where it is not there.

    Raises:
        OSError: something can't be removed. What was lifted before lies in the folder.
    """
    if folder.is_symlink() or not folder.is_dir():
        folder.unlink(missing_ok=True)
        return
    numbers = itertools.count()
    waiting = _without_files(folder)
    while waiting:
        here = waiting.pop()
        for inner in _without_files(here):
            while (free := folder / f"{next(numbers)}-lifted").exists():
                pass
            inner.chmod(0o700)  # a folder that moves must be writable: its ".." changes
            waiting.append(inner.rename(free))
        here.rmdir()
    folder.rmdir()


def _without_files(folder: Path) -> list[Path]:
    """The folders in a folder, once all else in it is removed."""
    folder.chmod(0o700)
    inner = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                inner.append(Path(entry.path))
            else:
                os.unlink(entry.path)
    return inner


def discard(folder: Path) -> None:
    """`remove_tree` where the work is worth more than what stays: that is logged."""
    try:
        remove_tree(folder)
    except OSError as error:
        log.warning("%s could not be removed: %s", folder, error)


@contextlib.contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """A new folder, removed at the end whatever was put into it."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        yield folder
    finally:
        remove_tree(folder)
