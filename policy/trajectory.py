"""The record of an episode: a journal while it runs, one JSON line when it is over.

The journal holds one event a line and is appended to as things happen; a line that a crash cut in half is dropped when
it is read again. The record has the same keys and types in every line, so that `datasets` loads a file of them:
`messages` is the whole history in chat format, and `steps` says about each message after the first two (and about each
compaction, which is no message) what a message does not. What differs by nature (`tools`, `settings`) is JSON text.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from policy.episode import Episode
from policy.errors import ConfigError, InUse
from policy.events import Compacted, Event, Finished, Observed, Replied, Started, from_dict, to_dict
from policy.model import Message
from policy.rendering import rendered
from policy.sources import Source
from policy.whole import loads

__all__ = [
    "Journal",
    "Record",
    "append",
    "events_of",
    "lock",
    "read_journal",
    "read_records",
    "record_of",
    "sequences",
    "write",
]

Record = dict[str, Any]

_BLOCK = 65_536


class Journal:
    """Appends events to a file. A crash of this process loses none; each line is handed to the system at once.

    Raises InUse where another process does so: two would write two episodes into one.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", encoding="utf-8", errors="replace")
        try:
            lock(self._file.fileno(), path)
        except InUse:
            self._file.close()
            raise
        _end_last_line(path)

    def __call__(self, event: Event) -> None:
        self._file.write(json.dumps(to_dict(event), ensure_ascii=False, separators=(",", ":")) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_journal(path: Path) -> Episode:
    """The episode as far as it came; an empty one where there is no journal. Raises ConfigError for another file."""
    if not path.exists():
        return Episode()
    events: list[Event] = []
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            events.append(from_dict(loads(line)))
        except (ValueError, KeyError, TypeError) as error:
            if not any(rest.strip() for rest in lines[number:]):
                break  # the line that the crash cut
            raise ConfigError(f"{path}:{number}: not an event of a journal: {error}") from error
    return Episode.of(events)


def lock(handle: int, path: Path) -> None:
    """Take an open file or folder for this process, until it is closed. Raises InUse where another has it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise InUse(f"{path}: another process is at work on it") from error


def append(path: Path, record: Record) -> None:
    """Add a record to a file of records, and have it on the disk before returning."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _end_last_line(path)
    with path.open("a", encoding="utf-8", errors="replace") as file:
        file.write(_line(record))
        file.flush()
        os.fsync(file.fileno())


def write(path: Path, records: Iterable[Record]) -> None:
    """Put a file of these records in the place of an old one, whole or not at all; they may come from the old one."""
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("w", encoding="utf-8", errors="replace") as file:
            for record in records:
                file.write(_line(record))
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def read_records(path: Path) -> Iterator[Record]:
    """The records of a file; a last line that was cut is left out."""
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace", newline="\n") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith("\n"):
                return
            if line.strip():
                try:
                    yield loads(line)
                except ValueError as error:
                    raise ConfigError(f"{path}:{number}: not JSON: {error}") from error


def record_of(episode: Episode) -> Record:
    """The record of a started episode."""
    started = episode.started
    if started is None:
        raise ValueError("the episode has not started")
    finished = episode.finished or Finished(status="failed", reason="not finished")
    return {
        "id": started.id,
        "task": started.task,
        "query": started.query,
        "status": finished.status,
        "reason": finished.reason,
        "report": finished.report,
        "model": started.model,
        "time": started.time,
        "messages": [_uniform(message) for message in episode.messages],
        "steps": [_step(event) for event in episode.events if not isinstance(event, Started | Finished)],
        "sources": episode.sources.as_dicts(),
        "usage": {
            "turns": episode.turns,
            "tool_calls": episode.tool_calls,
            "tool_errors": sum(isinstance(event, Observed) and event.is_error for event in episode.events),
            "prompt_tokens": episode.prompt_tokens,
            "completion_tokens": episode.completion_tokens,
            "seconds": episode.seconds,
            "cost": episode.cost,
        },
        "reward": None,
        "judge_id": "",
        "judge_error": "",
        "verdicts": [],
        "tools": json.dumps(started.tools, ensure_ascii=False),
        "settings": json.dumps(started.settings, ensure_ascii=False),
    }


def events_of(record: Mapping[str, Any]) -> Iterator[Event]:
    """The events that the record was made of, to show or fold an episode again without a model or a tool."""
    messages = iter([_plain(message) for message in record["messages"]])
    system, query = next(messages), next(messages)
    yield Started(
        id=record["id"],
        query=query["content"],
        system=system["content"],
        model=record["model"],
        tools=json.loads(record["tools"]),
        settings=json.loads(record["settings"]),
        task=record["task"],
        time=record["time"],
    )
    for step in record["steps"]:
        match step["kind"]:
            case "reply":
                names = ("turn", "malformed", "finish", "final", "prompt_tokens", "completion_tokens", "seconds")
                optional = {"token_ids": step["token_ids"], "logprobs": step["logprobs"]}
                yield Replied(message=next(messages), **{name: step[name] for name in names}, **optional)
            case "observation":
                names = ("turn", "name", "is_error", "seconds", "footer", "stored", "todo")
                sources = [Source(**source) for source in step["sources"]]
                yield Observed(message=next(messages), sources=sources, **{name: step[name] for name in names})
            case "compaction":
                summary = {"role": "user", "content": step["summary"]}
                names = ("turn", "keep_from", "prompt_tokens", "completion_tokens", "seconds")
                # Records of before summaries could be written by the model have nothing of it.
                written = step.get("written") or ""
                yield Compacted(summary=summary, written=written, **{name: step[name] for name in names})
    usage = record["usage"]
    yield Finished(status=record["status"], reason=record["reason"], report=record["report"], seconds=usage["seconds"])


def sequences(record: Mapping[str, Any]) -> Iterator[list[Message]]:
    """The conversations a model saw, for training: one, and one more for every compaction, each as it was at its end.

    Arguments of tool calls are objects where they are valid JSON, which is what chat templates render:
    `tokenizer.apply_chat_template(messages, tools=json.loads(record["tools"]))`.
    """
    episode = Episode()
    for event in events_of(record):
        if isinstance(event, Compacted):
            yield [rendered(message) for message in episode.view()]
        episode.apply(event)
    yield [rendered(message) for message in episode.view()]


_STEP: Record = {
    "kind": "", "turn": 0, "seconds": 0.0, "malformed": [], "finish": "", "final": "", "prompt_tokens": 0,
    "completion_tokens": 0, "token_ids": None, "logprobs": None, "name": "", "is_error": False, "footer": "",
    "stored": "", "todo": "", "sources": [], "keep_from": 0, "summary": "", "written": "",
}  # fmt: skip


def _step(event: Event) -> Record:
    fields = {name: getattr(event, name) for name in event.__slots__ if name != "message"}
    match event:
        case Replied():
            return {**_STEP, **fields, "kind": "reply"}
        case Observed():
            sources = [asdict(source) for source in event.sources]
            return {**_STEP, **fields, "kind": "observation", "sources": sources}
        case Compacted():
            return {**_STEP, **fields, "kind": "compaction", "summary": event.summary["content"]}
    raise TypeError(f"{type(event).__name__} is no step")


def _uniform(message: Message) -> Message:
    return {
        "role": message["role"],
        "content": message.get("content") or "",
        "reasoning_content": message.get("reasoning_content"),
        "tool_calls": message.get("tool_calls"),
        "tool_call_id": message.get("tool_call_id"),
    }


def _plain(message: Mapping[str, Any]) -> Message:
    return {key: value for key, value in message.items() if value is not None}


def _line(record: Record) -> str:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n"


def _end_last_line(path: Path) -> None:
    """Take off a last line that a crash left without its end, so that the next one starts a line."""
    if not path.exists():
        return
    with path.open("rb+") as file:
        # From the end: a file of records has gigabytes, and this is asked at each of them.
        end = file.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - _BLOCK)
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                end = start + found + 1
                break
            end = start
        file.truncate(end)
