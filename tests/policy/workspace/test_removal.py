"""Folders that an agent wrote in are taken away whatever is in them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from policy.workspace.removal import discard, remove_tree, temporary_folder


def nest(folder: Path, depth: int, name: str = "d") -> None:
    """Folders inside one another, a file in each, made by handle: no path is that long."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here))
        os.mkdir(name, dir_fd=here)
        inner = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)


def test_deeper_than_recursion_and_longer_than_any_path(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    nest(folder, 3000, "a-name-of-some-length")
    remove_tree(folder)
    assert os.listdir(tmp_path) == []


def test_many_branches_read_only_folders_and_names_like_those_it_makes_up(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    for path in ("a/b/c", "a/b/d/e", "0-lifted/x/y", "1-lifted", "z/z/z/z"):
        (folder / path).mkdir(parents=True)
        (folder / path / "file.txt").write_text("x")
    (folder / "a" / "b").chmod(0o500)
    remove_tree(folder)
    assert not folder.exists()


def test_links_are_removed_and_what_they_point_at_stays(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("x")
    folder = tmp_path / "work"
    (folder / "in").mkdir(parents=True)
    (folder / "in" / "out").symlink_to(kept)
    (folder / "dangling").symlink_to(tmp_path / "nowhere")
    remove_tree(folder)
    assert (kept / "file").read_text() == "x"
    (tmp_path / "link").symlink_to(kept)
    remove_tree(tmp_path / "link")
    assert sorted(os.listdir(tmp_path)) == ["kept"]


def test_nothing_to_remove_is_nothing_to_do(tmp_path: Path) -> None:
    remove_tree(tmp_path / "nothing")


def test_a_temporary_folder_goes_when_its_work_fails() -> None:
    made: list[Path] = []

    def work() -> None:
        with temporary_folder("agent-") as folder:
            made.append(folder)
            nest(folder, 1200)
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        work()
    assert made
    assert not made[0].exists()


@pytest.mark.skipif(not Path("/proc/self/fdinfo").is_dir(), reason="needs a folder that nobody may change")
def test_what_can_not_be_removed_is_logged_and_ends_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(OSError, match="proc"):
        remove_tree(Path("/proc/self/fdinfo"))
    discard(Path("/proc/self/fdinfo"))
    assert "could not be removed" in caplog.text
