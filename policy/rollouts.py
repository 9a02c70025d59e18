"""Many episodes at once: G of every task, a bounded number in flight, each group judged as soon as it is complete.

Resumable at any point: an episode whose record is in the output is not run again, and one that was cut short goes on
from its journal in `OUT.work/`. A failed episode is a record that says so, without a report and without a reward; with
`retry_failed` it is run anew. An episode whose model was away stays open, without a record, and goes on with the next
run; where none gets through, the run ends. A report that has not been judged is judged when there is a judge, without
its episode.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from judger.client import Client
from judger.errors import InvalidRequest
from judger.types import Criterion
from judger.validate import check_criteria
from policy import trajectory
from policy.config import Settings
from policy.episode import Episode
from policy.errors import ConfigError, InUse, ModelAway
from policy.events import Finished, Started
from policy.judging import judge_records
from policy.kit import Kit, Shared
from policy.model import Model
from policy.runs import Run, run_episode
from policy.trajectory import Record
from policy.whole import half_character
from policy.workspace.removal import discard, remove_tree

__all__ = ["Rollouts", "Task", "read_tasks"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Task:
    """One line of a task file: a case without a report. Without criteria its episodes are not judged."""

    id: str
    query: str
    criteria: tuple[Criterion, ...] = ()


def read_tasks(path: Path, rubric: Sequence[Criterion] = ()) -> list[Task]:
    """All tasks of a file; a `rubric` takes the place of their own criteria. Raises ConfigError with every fault."""
    from judger.client import make_criteria

    tasks: list[Task] = []
    faults: list[str] = []
    seen: set[str] = set()
    try:
        lines = path.read_text(encoding="utf-8").split("\n")  # JSON may hold what else `splitlines` takes for an end
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            data = json.loads(line)
            if not isinstance(data, dict):
                raise InvalidRequest("line", "must be a JSON object")
            for field in ("id", "query"):
                if not isinstance(data.get(field), str) or not data[field].strip():
                    raise InvalidRequest(field, "must be a text that is not empty")
                if fault := half_character(data[field]):
                    raise InvalidRequest(field, fault)
            if data["id"] in seen:
                raise InvalidRequest("id", f"{data['id']!r} is there twice")
            criteria = tuple(rubric) or make_criteria(data.get("criteria") or ())
            if criteria:
                check_criteria(criteria)
        except InvalidRequest as error:
            faults.append(f"{path}:{number}: {error.field}: {error.reason}")
        except ValueError as error:
            faults.append(f"{path}:{number}: line: not JSON: {error}")
        else:
            seen.add(data["id"])
            tasks.append(Task(data["id"], data["query"], criteria))
    if faults:
        raise ConfigError("\n".join(faults))
    return tasks


class Rollouts:
    """Runs the tasks into a file of records. `make_model` gives each episode its model; who shares one closes it."""

    def __init__(
        self,
        out: Path,
        settings: Settings,
        shared: Shared,
        make_model: Callable[[Episode, Kit], Model],
        *,
        concurrency: int = 8,
        group: int = 1,
        judge: Client | None = None,
        keep_workspaces: bool = False,
        retry_failed: bool = False,
        on_record: Callable[[Record], None] = lambda _: None,
    ) -> None:
        self._out, self._settings, self._shared, self._make_model = out, settings, shared, make_model
        self._concurrency, self._group, self._judge = concurrency, group, judge
        self._keep, self._retry, self._on_record = keep_workspaces, retry_failed, on_record
        self._slots = asyncio.Semaphore(concurrency)
        self._work = out.with_name(out.name + ".work")
        self._in_a_row = 0
        self.left_open = 0
        """Episodes that the model's absence has left as they stood."""

    async def run(self, tasks: Sequence[Task]) -> None:
        """Judge what is not judged, then run what is missing.

        Raises InUse where another process writes this file, ModelAway once more episodes in a row were left open than
        run at once.
        """
        with self._alone():
            await self._run(tasks)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the folder of work, which is there as long as anyone is at it."""
        self._work.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._work, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            trajectory.lock(handle, self._out)
            yield
            if not self._keep and not self.left_open:
                remove_tree(self._work)
        finally:
            os.close(handle)

    async def _run(self, tasks: Sequence[Task]) -> None:
        await self._mend(tasks)
        done = {record["id"] for record in trajectory.read_records(self._out)}
        waiting = iter(tasks)
        # As many workers as slots: a group that waits for its last episode must not keep others from starting.
        async with asyncio.TaskGroup() as workers:
            for _ in range(self._concurrency):
                workers.create_task(self._worker(waiting, done))

    async def _mend(self, tasks: Sequence[Task]) -> None:
        """Take out the records to run again, and put judgements into those that have none."""
        ids = {_id(task, number): (task, number) for task in tasks for number in range(self._group)}
        failed: set[str] = set()
        unjudged: dict[str, list[Record]] = {}
        for record in trajectory.read_records(self._out):
            if record["id"] not in ids:
                continue
            if record["status"] == "failed" and self._retry:
                failed.add(record["id"])
            elif record["report"] and not record["judge_id"]:
                unjudged.setdefault(record["task"], []).append(record)
        judged: dict[str, Record] = {}

        async def judge(task: Task, records: list[Record]) -> None:
            async with self._slots:
                assert self._judge is not None
                judged.update(
                    {r["id"]: r for r in await judge_records(records, task.query, task.criteria, self._judge)}
                )

        if self._judge is not None:
            async with asyncio.TaskGroup() as group:
                for task in tasks:
                    if task.criteria and task.id in unjudged:
                        group.create_task(judge(task, unjudged[task.id]))
        for one in failed:
            discard(self._folder(*ids[one]))  # its journal says that it failed
        if failed or judged:
            kept = (judged.get(r["id"], r) for r in trajectory.read_records(self._out) if r["id"] not in failed)
            trajectory.write(self._out, kept)

    async def _worker(self, waiting: Iterator[Task], done: set[str]) -> None:
        for task in waiting:
            missing = [number for number in range(self._group) if _id(task, number) not in done]
            episodes = await asyncio.gather(*(self._episode(task, number) for number in missing))
            ended = [(record, n) for record, n in zip(episodes, missing, strict=True) if record is not None]
            records = [record for record, _ in ended]
            if self._judge is not None and task.criteria:
                records = await judge_records(records, task.query, task.criteria, self._judge)
            for record, (_, number) in zip(records, ended, strict=True):
                trajectory.append(self._out, record)
                if not self._keep:
                    discard(self._folder(task, number))
                self._on_record(record)

    async def _episode(self, task: Task, number: int) -> Record | None:
        """The record; None where the episode is left open."""
        run = Run(self._folder(task, number))
        async with self._slots:
            try:
                episode = await run_episode(
                    run, task.query, self._make_model, self._shared, self._settings, task=task.id
                )
                self._in_a_row = 0
            except ModelAway as error:
                self.left_open += 1
                self._in_a_row += 1
                log.warning("episode %s is left open: %s", _id(task, number), error)
                if self._in_a_row > self._concurrency:
                    raise  # it is the model, and not one conversation that it fails at
                return None
            except InUse:
                raise
            except Exception as error:  # one episode must not end the others; it is logged with its trace
                log.exception("episode %s failed", _id(task, number))
                episode = _failed(task, f"{type(error).__name__}: {error}")
        return {**trajectory.record_of(episode), "id": _id(task, number)}

    def _folder(self, task: Task, number: int) -> Path:
        name = re.sub(r"[^\w.-]", "_", task.id)[:40]
        return self._work / f"{name}-{hashlib.sha256(task.id.encode()).hexdigest()[:10]}-{number}"


def _id(task: Task, number: int) -> str:
    return f"{task.id}/{number}"


def _failed(task: Task, reason: str) -> Episode:
    episode = Episode()
    episode.apply(Started(id="", query=task.query, system="", model="", tools=[], task=task.id))
    episode.apply(Finished(status="failed", reason=reason))
    return episode
