"""The threads that read streams: reused, and ended when idle. That a forked child begins anew: `programs.py`."""

from __future__ import annotations

import queue
import threading
import time

import pytest

from judger.client import readers
from judger.client.readers import Readers
from tests.waiting import PATIENCE, until_here


def ran_in(pool: Readers) -> int:
    """The thread that a piece of work ran in, once it waits for more."""
    found: queue.SimpleQueue[int] = queue.SimpleQueue()
    pool.run(lambda: found.put(threading.get_ident()))
    ident = found.get(timeout=PATIENCE)
    settle(pool)
    return ident


def settle(pool: Readers) -> None:
    until_here(lambda: not pool.num_busy)


def test_work_that_follows_work_runs_in_its_thread_and_work_beside_it_in_another() -> None:
    pool, go = Readers(), threading.Event()
    first = ran_in(pool)
    assert ran_in(pool) == first
    pool.run(lambda: bool(go.wait(2 * PATIENCE)))
    found: queue.SimpleQueue[int] = queue.SimpleQueue()
    pool.run(lambda: found.put(threading.get_ident()))
    assert found.get(timeout=PATIENCE) != first
    go.set()
    settle(pool)


def test_an_idle_thread_ends_and_the_next_work_begins_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "IDLE_SECONDS", 0.02)
    pool = Readers()
    ran_in(pool)
    until_here(lambda: not pool._idle)
    ran_in(pool)


def test_work_that_comes_as_a_thread_is_about_to_end_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "IDLE_SECONDS", 0.0005)
    pool, done = Readers(), queue.SimpleQueue[int]()
    for number in range(300):
        pool.run(lambda number=number: done.put(number))  # type: ignore[misc]
        time.sleep(0.0005)
    assert sorted(done.get(timeout=PATIENCE) for _ in range(300)) == list(range(300))
