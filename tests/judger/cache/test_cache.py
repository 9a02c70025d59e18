"""Verdicts by content: what is kept, what never is, and what becomes of the file when things go wrong."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from judger.cache.sqlite import CacheFile
from judger.cache.verdicts import VerdictCache
from judger.engines.base import VERDICT_TIER, Outcome, Tier
from judger.engines.scripted import ScriptedEngine
from judger.errors import InvalidRequest
from judger.judge import Judge
from judger.types import Case, Criterion, Explain, Probabilities, Reason, Span, Unscored
from judger.verdict import Calibration
from tests.waiting import PATIENCE

MEGABYTE = 2**20
STRANGE = [
    b"garbage",
    b"\xff",
    b"[]",
    b"{}",
    b"7",
    b"[" * 5000,
    b"[" + b"9" * 5000 + b"]",
    *(
        json.dumps([row]).encode()
        for row in (
            None,
            "five!",
            {"a": 1},
            [1, 2],
            ["00", [2.0, 2.0, 2.0], [], None, 1],  # no distribution
            ["00", [float("nan"), 0.0, 1.0], [], None, 1],
            ["00", [10**400, 0.0, 1.0], [], None, 1],
            ["00", ["0", "0", "1"], [], None, 1],
            ["00", [0.0, 1.0], [], None, 1],
            ["0", [0.0, 0.0, 1.0], [], None, 1],  # no statement
            [0, [0.0, 0.0, 1.0], [], None, 1],
            ["00", [0.0, 0.0, 1.0], [], 7, 1],  # no text
            ["00", [0.0, 0.0, 1.0], [], "x" * 2**21, 1],
            ["00", [0.0, 0.0, 1.0], [], None, -1],  # no count
            ["00", [0.0, 0.0, 1.0], [], None, 2**40],
            ["00", [0.0, 0.0, 1.0], [], None, True],
            ["00", [0.0, 0.0, 1.0], [[0]], None, 1],  # no span
            ["00", [0.0, 0.0, 1.0], [[5, 3]], None, 1],
            ["00", [0.0, 0.0, 1.0], [[-1, 3]], None, 1],
            ["00", [0.0, 0.0, 1.0], [[0, 10**6]], None, 1],  # behind the report's end
            ["00", [0.0, 0.0, 1.0], 7, None, 1],
        )
    ),
]
"""Bodies of which nothing can be used."""


def case(*texts: str, report: str = "A report of words.") -> Case:
    criteria = tuple(
        Criterion(id=f"c{i}", text=text.lstrip("-"), weight=-1.0 if text.startswith("-") else 1.0)
        for i, text in enumerate(texts)
    )
    return Case(id="one", query="Why?", report=report, criteria=criteria)


@asynccontextmanager
async def judging(file: CacheFile | None = None, calibration: Calibration | None = None) -> AsyncIterator[Judge]:
    judge = Judge(ScriptedEngine(), calibration=calibration, cache=partial(VerdictCache, file=file))
    try:
        yield judge
    finally:
        await judge.close()


def num_judged(judge: Judge) -> int:
    engine = judge.engine
    assert isinstance(engine, ScriptedEngine)
    return sum(criteria for _, criteria in engine.batches)


async def test_a_repeated_request_gets_the_same_verdicts_and_costs_nothing() -> None:
    async with judging() as judge:
        first = await judge.judge(case("words", "-report", "[[p=0.1,0.2,0.7]]"))
        again = await judge.judge(case("words", "-report", "[[p=0.1,0.2,0.7]]"))
        assert (again.verdicts, again.reward) == (first.verdicts, first.reward)
        assert (first.usage.cached_criteria, again.usage.cached_criteria) == (0, 3)
        assert again.usage.shared_tokens == again.usage.prompt_tokens == first.usage.prompt_tokens
        assert num_judged(judge) == 3


async def test_a_text_with_half_a_character_has_an_address_as_any_other() -> None:
    async with judging() as judge:
        for report in ("cut \ud83d", "cut \ufffd", "cut \ud83d"):
            result = await judge.judge(case("words \ud83d", report=report))
        assert result.usage.cached_criteria == 1
        assert num_judged(judge) == 2


async def test_only_what_is_not_known_is_judged_and_the_order_is_kept() -> None:
    async with judging() as judge:
        await judge.judge(case("[[fully]]", "[[not]]"))
        result = await judge.judge(case("[[partially]]", "[[not]]", "[[p=0.3,0.3,0.4]]", "[[fully]]"))
        assert [verdict.result.p_full for verdict in result.verdicts] == [0.05, 0.05, 0.4, 0.9]  # type: ignore[union-attr]
        assert result.usage.cached_criteria == 2
        assert num_judged(judge) == 4


@pytest.mark.parametrize("text", ["[[unscored=too_long]]", "[[unscored=deadline]]", "[[crash]]", "[[p=nan,0.5,0.5]]"])
async def test_a_failure_is_never_kept(text: str) -> None:
    async with judging() as judge:
        for _ in range(2):
            result = await judge.judge(case(text))
            assert isinstance(result.verdicts[0].result, Unscored)
            assert result.usage.cached_criteria == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda one: replace(one, report="Another report."),
        lambda one: replace(one, query="How?"),
        lambda one: replace(one, language="en"),
        lambda one: replace(one, criteria=(replace(one.criteria[0], text="word"),)),
        lambda one: replace(one, criteria=(replace(one.criteria[0], weight=-1.0),)),
        lambda one: replace(one, query=one.query + one.report[:1], report=one.report[1:]),
    ],
)
async def test_another_content_is_another_address(change: Callable[[Case], Case]) -> None:
    async with judging() as judge:
        await judge.judge(case("words"))
        assert (await judge.judge(change(case("words")))).usage.cached_criteria == 0


async def test_weight_id_and_axis_are_not_part_of_the_address() -> None:
    async with judging() as judge:
        one = case("words")
        await judge.judge(one)
        other = replace(one, id="two", criteria=(replace(one.criteria[0], id="x", weight=7.0, axis="depth"),))
        assert (await judge.judge(other)).usage.cached_criteria == 1


async def test_another_tier_or_judge_is_another_address() -> None:
    cache, other = VerdictCache("judge-1"), VerdictCache("judge-2")
    good = Outcome(result=Probabilities(0.1, 0.2, 0.7))
    cache.keep(case("words"), VERDICT_TIER, [good])
    other._contexts = cache._contexts
    assert len(await cache.look_up(case("words"), VERDICT_TIER)) == 1
    assert await other.look_up(case("words"), VERDICT_TIER) == {}
    for tier in (Tier(explain=Explain.ALWAYS), Tier(trials=3), Tier(explain_margin=0.5)):
        assert await cache.look_up(case("words"), tier) == {}


async def test_memory_holds_the_latest_contexts_and_forgets_the_oldest() -> None:
    cache = VerdictCache("judge", memory_bytes=20_000)
    good = Outcome(result=Probabilities(0.0, 0.0, 1.0))
    for i in range(200):
        cache.keep(case("words", report=f"report {i}"), VERDICT_TIER, [good])
        await cache.look_up(case("words", report="report 0"), VERDICT_TIER)
    known = [i for i in range(200) if await cache.look_up(case("words", report=f"report {i}"), VERDICT_TIER)]
    assert known[0] == 0
    assert known[1:] == list(range(200 - len(known) + 1, 200))
    assert 10 <= len(known) <= 40


@pytest.mark.parametrize("memory_bytes", [0, MEGABYTE])
async def test_one_context_never_takes_more_than_all_may_and_pushes_nobody_out(memory_bytes: int) -> None:
    cache = VerdictCache("judge", memory_bytes=memory_bytes)
    small = Outcome(result=Probabilities(0.0, 0.0, 1.0))
    cache.keep(case("words", report="small"), VERDICT_TIER, [small])
    many = case(*map(str, range(512)), report="large")
    for large in (
        replace(small, rationale="x" * 100_000),  # 49 MiB in all
        replace(small, rationale="\U0001f600" * 1_000),  # four bytes each in memory
        replace(small, evidence=tuple(Span(0, 1) for _ in range(100))),
    ):
        cache.keep(many, VERDICT_TIER, [large] * 512)
        assert await cache.look_up(many, VERDICT_TIER) == {}
        assert cache._size <= memory_bytes
    assert bool(await cache.look_up(case("words", report="small"), VERDICT_TIER)) == bool(memory_bytes)


@pytest.mark.parametrize("memory_bytes", [0, 10_000])
async def test_what_memory_has_no_room_for_is_found_in_the_file(tmp_path: Path, memory_bytes: int) -> None:
    many = case(*map(str, range(100)))
    cache = VerdictCache("judge", memory_bytes=memory_bytes, file=CacheFile(tmp_path / "verdicts", MEGABYTE))
    cache.keep(many, VERDICT_TIER, [Outcome(result=Probabilities(0.0, 0.0, 1.0))] * 100)
    assert cache.file is not None
    await cache.file.read(b"")  # one thread: what was written before is in the file now
    assert len(await cache.look_up(many, VERDICT_TIER)) == 100
    assert cache._contexts == {}
    await cache.close()


async def test_a_file_gives_a_new_process_the_same_verdicts_bit_by_bit(tmp_path: Path) -> None:
    chance = random.Random(1)
    texts = [f"[[p={a / 3!r},{b / 3!r},{1 - a / 3 - b / 3!r}]]" for a, b in ((chance.random(), chance.random()),) * 9]
    async with judging(CacheFile(tmp_path / "verdicts", MEGABYTE)) as judge:
        first = await judge.judge(case(*texts))
    async with judging(CacheFile(tmp_path / "verdicts", MEGABYTE)) as judge:
        again = await judge.judge(case(*texts))
        assert num_judged(judge) == 0
    assert again.verdicts == first.verdicts
    async with judging(CacheFile(tmp_path / "verdicts", MEGABYTE), Calibration(temperature=2.0)) as judge:
        assert (await judge.judge(case(*texts))).usage.cached_criteria == 0
    assert (tmp_path / "verdicts").stat().st_mode & 0o077 == 0


async def test_rationale_and_evidence_survive_the_file(tmp_path: Path) -> None:
    outcome = Outcome(
        result=Probabilities(0.1, 0.2, 0.7),
        evidence=(Span(3, 9), Span(20, 31)),
        rationale='It says "ja" – \u2028 and\n\x00 more',
        prompt_tokens=120,
    )
    one = case("words", report="A report of words, and of some more.")
    cache = VerdictCache("judge", file=CacheFile(tmp_path / "verdicts", MEGABYTE))
    cache.keep(one, VERDICT_TIER, [outcome])
    await cache.close()
    cache = VerdictCache("judge", file=CacheFile(tmp_path / "verdicts", MEGABYTE))
    assert await cache.look_up(one, VERDICT_TIER) == {0: replace(outcome, shared_tokens=120)}
    await cache.close()


async def test_the_file_stays_within_its_size_and_keeps_what_was_used_last(tmp_path: Path) -> None:
    size = MEGABYTE // 4
    file = CacheFile(tmp_path / "verdicts", size)
    addresses = [i.to_bytes(24, "big") for i in range(800)]
    for i, address in enumerate(addresses):
        file.write(address, b"x" * 1000)
        if i % 100 == 99:
            await file.read(address)  # one thread: what was written before is in the file now
    found = [address for address in addresses if await file.read(address)]
    await file.close()
    assert (tmp_path / "verdicts").stat().st_size <= 1.5 * size
    assert 90 < len(found) < 250
    assert addresses[-1] in found


@pytest.mark.parametrize("size", [MEGABYTE, MEGABYTE // 4])
async def test_the_file_is_never_much_larger_than_its_limit_and_shrinks_to_a_lower_one(
    tmp_path: Path, size: int
) -> None:
    path = tmp_path / "verdicts"
    file = CacheFile(path, 16 * MEGABYTE)
    for i in range(8_000):
        file.write(i.to_bytes(24, "big"), b"x" * 1000)
    await file.close()
    assert path.stat().st_size > 8 * MEGABYTE
    file, largest = CacheFile(path, size), 0
    for i in range(3_000):
        file.write(i.to_bytes(24, "little"), b"y" * 1000)
        if i % 100 == 99:
            await file.read(b"")
        if i >= 1_000:
            largest = max(largest, on_disk(tmp_path))
    await file.close()
    assert largest <= 2 * size + 200_000  # with the log beside it, which holds a burst of a hundred rows on top
    assert path.stat().st_size <= 1.1 * size


def on_disk(folder: Path) -> int:
    return sum(one.stat().st_size for one in folder.iterdir())


HOLDER = """
import sqlite3, sys

database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.read()
"""


async def test_a_file_that_another_process_holds_is_refused_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "verdicts"
    await CacheFile(path, MEGABYTE).close()
    holder = subprocess.Popen(  # noqa: ASYNC220 - it is the test's
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(InvalidRequest, match="in use by another process"):
        CacheFile(path, MEGABYTE)
    holder.communicate("")
    await CacheFile(path, MEGABYTE).close()


async def test_a_second_server_on_the_file_is_refused_and_takes_nothing_from_the_first(tmp_path: Path) -> None:
    path = tmp_path / "verdicts"
    first = CacheFile(path, MEGABYTE)
    first.write(b"a", b"body")
    for _ in range(2):  # the refused one must not take the lock away with it
        with pytest.raises(InvalidRequest, match="one server a file"):
            CacheFile(path, MEGABYTE)
    opening = (
        f"from pathlib import Path; from judger.cache.sqlite import CacheFile; CacheFile(Path({str(path)!r}), 2**20)"
    )
    other = subprocess.run(  # noqa: ASYNC221 - it is the test's
        [sys.executable, "-c", opening], capture_output=True, text=True, timeout=120
    )
    assert "one server a file" in other.stderr
    assert await until_read(first, b"a") == [b"body"]
    await first.close()
    second = CacheFile(path, MEGABYTE)
    assert await second.read(b"a") == [b"body"]
    await second.close()


async def test_nobody_can_lock_a_file_that_is_open_so_that_no_read_waits_for_one(tmp_path: Path) -> None:
    path = tmp_path / "verdicts"
    file = CacheFile(path, MEGABYTE)
    file.write(b"a", b"body")
    assert await until_read(file, b"a") == [b"body"]
    with sqlite3.connect(path, timeout=0) as foreign, pytest.raises(sqlite3.OperationalError, match="locked"):
        foreign.execute("BEGIN EXCLUSIVE")
    foreign.close()
    assert await file.read(b"a") == [b"body"]
    await file.close()


@pytest.mark.parametrize("body", STRANGE)
async def test_a_body_that_nobody_of_ours_wrote_is_a_miss(tmp_path: Path, body: bytes) -> None:
    file = CacheFile(tmp_path / "verdicts", 8 * MEGABYTE, (faults := list[str]()).append)
    cache = VerdictCache("judge", file=file)
    file.write(cache._address(case("words"), VERDICT_TIER), body)
    assert await until_read(file, cache._address(case("words"), VERDICT_TIER)) == [body]
    assert await cache.look_up(case("words"), VERDICT_TIER) == {}
    assert faults == ["garbled"]
    await cache.close()


WRITER = """
import asyncio, sys
from pathlib import Path
from judger.cache.sqlite import CacheFile

async def main():
    file = CacheFile(Path(sys.argv[1]), 2**26)
    for i in range(10**9):
        address = i.to_bytes(24, "big")
        file.write(address, str(i).encode() * 200)
        if i % 20 == 0:
            await file.read(address)
            print(i, flush=True)

asyncio.run(main())
"""


async def test_a_process_killed_in_mid_write_leaves_a_file_with_all_that_was_written(tmp_path: Path) -> None:
    path = tmp_path / "verdicts"
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: ASYNC220 - it is the test's
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= 100:
                break
        process.send_signal(signal.SIGKILL)
        process.stdout.read()
    faults: list[str] = []
    file = CacheFile(path, 2**26, faults.append)
    for i in range(80):  # the flush before the last acknowledged read, at least
        assert await file.read(i.to_bytes(24, "big")) == [str(i).encode() * 200]
    await file.close()
    assert faults == []
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()


@pytest.mark.parametrize("damage", ["garbage", "cut", "flipped"])
async def test_a_corrupt_file_is_set_aside_and_reported_and_never_gives_a_wrong_verdict(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "verdicts"
    file = CacheFile(path, 2**26)
    bodies = {i.to_bytes(24, "big"): str(i).encode() * 300 for i in range(300)}
    for address, body in bodies.items():
        file.write(address, body)
    await file.close()
    content = bytearray(path.read_bytes())
    if damage == "garbage":
        content = bytearray(b"this is no database, and never was " * 100)
    elif damage == "cut":
        del content[len(content) // 2 :]
    else:
        for position in range(8192, len(content), 4099):
            content[position] ^= 0x5A
    path.write_bytes(content)
    faults: list[str] = []
    file = CacheFile(path, 2**26, faults.append)
    for address, body in bodies.items():
        assert await file.read(address) in ([], [body])
    assert "corrupt" in faults
    assert "set aside" in caplog.text
    assert (tmp_path / "verdicts.corrupt-1").read_bytes()[:16] == content[:16]
    file.write(b"new", b"body")
    assert await until_read(file, b"new") == [b"body"]
    await file.close()


async def until_read(file: CacheFile, address: bytes) -> list[bytes]:
    async with asyncio.timeout(PATIENCE):
        while not (bodies := await file.read(address)):  # noqa: ASYNC110 - no event tells of a flush
            await asyncio.sleep(0)
    return bodies


async def test_another_programs_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE accounts (name)")
    database.close()
    before = path.read_bytes()
    with pytest.raises(InvalidRequest, match="another program"):
        CacheFile(path, MEGABYTE)
    assert path.read_bytes() == before


def test_a_file_in_no_folder_is_refused_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"nowhere/verdicts: No such file"):
        CacheFile(tmp_path / "nowhere" / "verdicts", MEGABYTE)


async def test_work_that_ends_while_the_file_is_read_is_not_done_again(tmp_path: Path) -> None:
    """Between a miss in memory and the answer of the file somebody else's work may end: it is found all the same."""
    async with judging(CacheFile(tmp_path / "verdicts", MEGABYTE)) as judge:
        results = await asyncio.gather(*[judge.judge(case("alpha", "beta")) for _ in range(50)])
        for _ in range(50):
            results.append(await judge.judge(case("alpha", "beta")))
        assert num_judged(judge) == 2
    assert len({result.verdicts for result in results}) == 1
    assert all(isinstance(r.verdicts[0].result, type(results[0].verdicts[0].result)) for r in results)
    assert Reason.ENGINE_ERROR not in {getattr(r.verdicts[0].result, "reason", None) for r in results}
