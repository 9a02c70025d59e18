"""The journal: whatever is cut off, going on loses nothing and doubles nothing."""

from __future__ import annotations

import shutil

import pytest

from judger.cli.journal import Fate, Journal, journal_path
from judger.errors import InvalidRequest

KEY = {"input": "digest", "judge_id": "judge-1", "min_reward": 0.5}
CASES = [f"line {i} é" for i in range(12)]


def is_kept(i: int) -> bool:
    return i % 3 != 1


def go_on(output, key=KEY, until=12) -> int:
    """Runs from wherever the journal says; gives where that was."""
    with Journal(output, key) as journal:
        start = journal.num_done
        for i in range(start, until):
            journal.add(Fate.KEPT if is_kept(i) else Fate.DROPPED, CASES[i] if is_kept(i) else None)
    return start


def whole() -> bytes:
    return "".join(f"{CASES[i]}\n" for i in range(len(CASES)) if is_kept(i)).encode()


def test_a_run_goes_on_where_the_last_one_ended(tmp_path):
    output = tmp_path / "out.jsonl"
    assert go_on(output, until=5) == 0
    assert go_on(output) == 5
    assert go_on(output) == len(CASES)
    assert output.read_bytes() == whole()


def test_cut_off_at_any_byte_the_run_ends_up_the_same(tmp_path):
    """As a kill leaves it: a prefix of the writes, which take turns between output and journal."""
    done = tmp_path / "done.jsonl"
    go_on(done)
    journal = journal_path(done).read_bytes().splitlines(keepends=True)
    writes = [("journal", journal[0])]
    for i, entry in enumerate(journal[1:]):
        if is_kept(i):
            writes.append(("output", f"{CASES[i]}\n".encode()))
        writes.append(("journal", entry))
    for count in range(len(writes)):
        for torn in (0, 1, len(writes[count][1]) - 1):
            output = tmp_path / "cut.jsonl"
            parts = {"journal": b"", "output": b""}
            for target, content in [*writes[:count], (writes[count][0], writes[count][1][:torn])]:
                parts[target] += content
            output.write_bytes(parts["output"])
            journal_path(output).write_bytes(parts["journal"])
            go_on(output)
            assert output.read_bytes() == whole(), (count, torn)
            assert journal_path(output).read_bytes() == b"".join(journal), (count, torn)


def test_an_output_that_lost_its_end_is_made_whole_again(tmp_path):
    """As after a power cut: the journal reached the disk, the end of the output did not."""
    output = tmp_path / "out.jsonl"
    go_on(output)
    for size in range(len(whole())):
        output.write_bytes(whole()[:size])
        go_on(output)
        assert output.read_bytes() == whole(), size


@pytest.mark.parametrize("name", list(KEY))
def test_another_input_judge_or_setting_is_refused_by_name(tmp_path, name):
    output = tmp_path / "out.jsonl"
    go_on(output, until=5)
    before = output.read_bytes()
    with pytest.raises(InvalidRequest, match=f"another {name} .*--restart"):
        Journal(output, KEY | {name: "other"})
    assert output.read_bytes() == before
    assert go_on(output) == 5


def test_restart_begins_anew(tmp_path):
    output = tmp_path / "out.jsonl"
    go_on(output, until=5)
    with Journal(output, {"input": "other"}, restart=True) as journal:
        assert journal.num_done == 0
    assert output.read_bytes() == b""


def test_a_file_that_no_run_has_made_is_left_alone(tmp_path):
    output = tmp_path / "out.jsonl"
    output.write_text("precious\n")
    with pytest.raises(InvalidRequest, match="no journal"):
        Journal(output, KEY)
    assert output.read_text() == "precious\n"
    assert not journal_path(output).exists()


@pytest.mark.parametrize("content", [b"short\n" * 20, b"x" * 400 + b"\n"])
def test_an_output_that_was_changed_is_left_alone(tmp_path, content):
    output = tmp_path / "out.jsonl"
    go_on(output, until=5)
    output.write_bytes(content)
    with pytest.raises(InvalidRequest, match="has been changed"):
        Journal(output, KEY)
    assert output.read_bytes() == content


def test_a_journal_that_is_none_is_refused(tmp_path):
    output = tmp_path / "out.jsonl"
    for content in (b"nonsense\n", b'{"input":"digest","judge_id":"judge-1","min_reward":0.5}\n{}\n', b"[]\n\xff\n"):
        output.write_bytes(b"")
        journal_path(output).write_bytes(content)
        with pytest.raises(InvalidRequest):
            Journal(output, KEY)


def test_two_runs_can_not_write_one_output(tmp_path):
    output = tmp_path / "out.jsonl"
    with Journal(output, KEY), pytest.raises(InvalidRequest, match="another judger command"):
        Journal(output, KEY)


def test_files_can_be_moved_together(tmp_path):
    output = tmp_path / "out.jsonl"
    go_on(output, until=5)
    moved = tmp_path / "moved.jsonl"
    shutil.move(output, moved)
    shutil.move(journal_path(output), journal_path(moved))
    assert go_on(moved) == 5
    assert moved.read_bytes() == whole()
