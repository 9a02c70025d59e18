"""Answers kept on disk: what is wrong with the disk costs the cache alone."""

from __future__ import annotations

import json

import pytest

from policy.web.cache import DiskCache


def test_a_folder_that_cannot_be_written_to_costs_the_cache_alone(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    cache = DiskCache(tmp_path / "file" / "cache", seconds=60)
    for _ in range(3):
        cache.put("page", "q", {"a": 1})
        assert cache.get("page", "q") is None
    assert caplog.text.count("nothing is kept there") == 1


@pytest.mark.parametrize(
    "entry",
    [
        b"", b"\xff\xfe", b"[" * 5000, b"null", b"[]", b"{}", b'{"time": "x"}', b'{"time": 9e99, "question": "q"}',
        b'{"time": 99999999999, "question": "q", "value": 1}', b'{"time": true, "question": "q", "value": 1}',
    ],
)  # fmt: skip
def test_a_damaged_entry_is_a_miss(tmp_path, entry):
    cache = DiskCache(tmp_path, seconds=60)
    cache.put("page", "q", 1)
    (kept,) = tmp_path.rglob("*.json")
    kept.write_bytes(entry)
    assert cache.get("page", "q") is None
    kept.unlink()
    kept.mkdir()
    assert cache.get("page", "q") is None
    cache.put("page", "q", 2)


def test_what_was_kept_under_another_question_is_a_miss(tmp_path):
    cache = DiskCache(tmp_path, seconds=60)
    cache.put("page", "q", {"a": 1})
    assert cache.get("page", "q") == {"a": 1}
    (kept,) = tmp_path.rglob("*.json")
    kept.write_text(json.dumps({**json.loads(kept.read_text()), "question": "another"}))
    assert cache.get("page", "q") is None
