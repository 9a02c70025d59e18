"""Verdicts by content: what is kept, what never is, and what becomes of the file when things go wrong."""

from __future__ import annotations

import asyncio
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

MEGABYTE = 2**20


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
    cache = VerdictCache("judge", file=CacheFile(tmp_path / "verdicts", MEGABYTE))
    cache.keep(case("words"), VERDICT_TIER, [outcome])
    await cache.close()
    cache = VerdictCache("judge", file=CacheFile(tmp_path / "verdicts", MEGABYTE))
    assert await cache.look_up(case("words"), VERDICT_TIER) == {0: replace(outcome, shared_tokens=120)}
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
