"""The file tool and the walls around it."""

from __future__ import annotations

import asyncio
import os

import pytest

from policy.errors import ToolError
from policy.tools.file import FileTool
from policy.workspace import patch
from policy.workspace.files import Workspace
from tests.policy.tools.beside import needs_the_loop


@pytest.fixture
def outside(tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    return secret


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "w", max_file_bytes=10_000)


def _now(tool):
    """The tool's `file` to call without a loop."""
    return lambda *arguments, **named: asyncio.run(tool.file(*arguments, **named))


@pytest.fixture
def file(workspace):
    return _now(FileTool(workspace, max_chars=200))


def test_files_are_written_listed_and_read_by_ranges(file):
    file("write", "notes/a.md", "\n".join(f"line {n}" for n in range(1, 101)))
    assert file("list") == "notes/a.md (791 bytes)"
    assert file("read", "notes/a.md", first_line=3, last_line=4) == "notes/a.md, lines 3-4 of 100\nline 3\nline 4"
    whole = file("read", "notes/a.md")
    assert "go on with first_line=" in whole.splitlines()[0]
    with pytest.raises(ToolError, match="has 100 lines"):
        file("read", "notes/a.md", first_line=101)


def test_a_single_endless_line_is_read_by_columns(file):
    file("write", "a.txt", "".join(chr(97 + n % 26) for n in range(450)) + "\nend")
    shown, column = "", 1
    while column:
        note, _, part = file("read", "a.txt", first_column=column).partition("\n")
        shown += part
        column = int(note.rpartition("first_column=")[2]) if "first_column=" in note else 0
    assert shown == "".join(chr(97 + n % 26) for n in range(450))
    assert note.endswith("go on with first_line=2")
    with pytest.raises(ToolError, match="451 is none of them"):
        file("read", "a.txt", first_column=451)


def test_words_are_found_in_one_file_or_in_all(file):
    file("write", "a.txt", "One\nThe MILL (of Voe)\nTwo")
    file("write", "b/c.txt", "x" * 5000 + "mill (of voe)")
    one = file("grep", "a.txt", "mill (of")
    assert one == "1 lines hold 'mill (of', 1 are shown.\na.txt:2: The MILL (of Voe)"
    every = file("grep", ".", "mill (of")
    assert "a.txt:2: The MILL" in every
    assert "b/c.txt:1, character 5,001: xxx" in every
    assert file("grep", ".", "nowhere").startswith("0 lines")


@pytest.mark.parametrize(
    "path", ["../secret.txt", "/etc/passwd", "a/../../secret.txt", "..", "/", "/workspace/../secret.txt"]
)
def test_no_path_leads_out(file, outside, path):
    for command in ("read", "write", "patch"):
        with pytest.raises(ToolError):
            file(command, path, "text", "secret")
    assert outside.read_text() == "secret"


def test_no_link_leads_out_for_reading_writing_patching_or_listing(file, workspace, outside):
    (workspace.root / "link.txt").symlink_to(outside)
    (workspace.root / "folder").symlink_to(outside.parent)
    for path in ("link.txt", "folder/secret.txt"):
        with pytest.raises(ToolError, match="Links are not followed"):
            file("read", path)
        with pytest.raises(ToolError):
            file("patch", path, "gone", "secret")
    with pytest.raises(ToolError):
        file("write", "folder/new.txt", "x")
    file("write", "link.txt", "mine")  # replaces the link, not what it points at
    assert outside.read_text() == "secret"
    assert file("list") == "link.txt (4 bytes)"
    assert sorted(p.name for p in outside.parent.iterdir()) == ["secret.txt", "w"]


def test_pipes_devices_and_folders_are_refused_and_do_not_hang(file, workspace):
    os.mkfifo(workspace.root / "pipe")
    (workspace.root / "sub").mkdir()
    for path in ("pipe", "sub", "."):
        with pytest.raises(ToolError):
            file("read", path)


def test_binary_and_large_files_are_refused(file, workspace):
    (workspace.root / "b.bin").write_bytes(b"\x7fELF\0\0")
    (workspace.root / "l.txt").write_bytes(b"a" * 10_001)
    with pytest.raises(ToolError, match="binary"):
        file("read", "b.bin")
    with pytest.raises(ToolError, match="larger than"):
        file("read", "l.txt")
    with pytest.raises(ToolError, match="more than"):
        file("write", "n.txt", "a" * 10_001)


def test_a_patch_that_is_refused_changes_nothing_and_leaves_nothing_behind(file, workspace):
    file("write", "a.md", "One mill. Two mill.")
    with pytest.raises(ToolError, match="more than one place"):
        file("patch", "a.md", "x", "mill")
    assert workspace.read("a.md") == "One mill. Two mill."
    assert [p.name for p in workspace.root.iterdir()] == ["a.md"]


def test_a_patch_reports_where_it_was_made(file, workspace):
    file("write", "a.md", "First line.\n\nThe wheel turns at dawn.\n")
    said = file("patch", "a.md", "dusk", "dawn")
    assert said.startswith("Patched a.md at line 3;")
    assert workspace.read("a.md") == "First line.\n\nThe wheel turns at dusk.\n"


def test_a_missing_file_is_named(file):
    with pytest.raises(ToolError, match=r"no file 'x\.md'"):
        file("read", "x.md")


def test_a_file_that_is_no_utf8_is_read_but_not_patched(tmp_path):
    (tmp_path / "old.txt").write_bytes(b"caf\xe9 in the harbour, open all day")
    file = _now(FileTool(Workspace(tmp_path)))
    assert "in the harbour" in file("read", "old.txt")
    with pytest.raises(ToolError, match="not UTF-8"):
        file("patch", "old.txt", text="closed", anchor="open")
    assert (tmp_path / "old.txt").read_bytes().startswith(b"caf\xe9")


async def test_the_loop_goes_on_while_a_long_text_is_patched_or_searched(tmp_path, monkeypatch):
    workspace = Workspace(tmp_path)
    text = "".join(f"The mill at Voe ground {n} barrels in a tide of some height.\n" for n in range(3_000))
    workspace.write("a.md", text)
    tool = FileTool(workspace)
    monkeypatch.setattr(patch, "locate", needs_the_loop(patch.locate))
    monkeypatch.setattr(tool, "_grep", needs_the_loop(tool._grep))
    with pytest.raises(ToolError, match="other words"):
        await tool.file("patch", "a.md", anchor="The mill at Voe ground 17,171 barrels in a tide", text="Nothing")
    assert "3000 lines hold" in await tool.file("grep", "a.md", text="barrels")


def test_the_words_that_are_known_are_those_of_the_library():
    from spellchecker import SpellChecker

    from policy.workspace.words import is_slip

    known = SpellChecker(language="en").word_frequency.keys()
    assert {"height", "causal", "casual"} <= set(known)
    assert is_slip("heigth", "height")
    assert not is_slip("causal", "casual")


@pytest.fixture
def bottomless(tmp_path):
    """A folder with 1,500 others inside one another, made by handle because no path is that long, and taken away again.

    pytest's own clearing of old folders recurses, and would fail on it runs later."""
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    yield tmp_path
    outer = tmp_path / "d"
    while (outer / "d").exists():
        (outer / "d").rename(tmp_path / "e")
        outer.rmdir()
        (tmp_path / "e").rename(outer)
    outer.rmdir()


def test_folders_deeper_than_recursion_and_more_than_anyone_reads_are_listed_in_part(bottomless):
    (bottomless / "a.txt").write_text("x")
    entries, more = Workspace(bottomless).list()
    assert [entry.path for entry in entries] == ["a.txt"]
    assert more


def test_a_workspace_that_was_taken_away_is_a_refusal(tmp_path):
    workspace = Workspace(tmp_path / "w")
    (tmp_path / "w").rmdir()
    with pytest.raises(ToolError, match="workspace is gone"):
        workspace.read("a.txt")
    with pytest.raises(ToolError, match="workspace is gone"):
        workspace.list()
