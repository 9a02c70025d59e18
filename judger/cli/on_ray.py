"""judger filter --ray: the cases of a file judged by Ray Data's workers, and their answers one by one, in order.

The file is cut into pieces of some lines. Ray reads and judges pieces on all nodes, as fast as their answers are taken
here: between the two is never more than Ray's object store holds. Every node has to see the file under the same path.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import tempfile
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import aclosing, redirect_stdout, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from judger.cli.runs import as_sent, settled
from judger.cli.session import Answer
from judger.errors import EngineError, InvalidRequest, JudgerError
from judger.rubric import Record, iter_records
from judger.rubric.source import GZIP_MAGIC
from judger.types import Criterion, Options

__all__ = ["OnRay", "check_input"]

PIECE_BYTES = 4 * 2**20
PIECE_LINES = 64
MOST_BLOCKS = 2000
"""Of Ray Data's: beyond it a task gets several pieces, one after the other."""
MOST_WORKERS = 64


@dataclass(frozen=True, slots=True)
class Piece:
    """Some lines of a file: the bytes [start, end), and the number of the first of them."""

    start: int
    end: int
    line: int


@dataclass(frozen=True)
class OnRay:
    """How Ray judges a file.

    Args:
        ray_address: a running cluster; None for one of this machine alone, which ends with the run.
        ray_memory_mb: of that one's object store.
        address, settings: of the judge's server, as Ray's workers reach it.
    """

    path: Path
    rubric: Sequence[Criterion] | None
    monitors: bool
    options: Options
    ray_address: str | None
    ray_memory_mb: int
    address: str
    settings: dict[str, Any]
    timeout: float

    async def answers(self, records: Iterable[Record], behind: int) -> AsyncGenerator[Answer, None]:
        """An answer for each of the file's records behind the first `behind`, in their order.

        Raises what ends a stream in a worker, such as Unavailable, and EngineError where Ray itself fails.
        """
        places = _places(records)
        for _ in range(behind):
            next(places)
        if (first := next(places, None)) is None:
            return
        with redirect_stdout(sys.stderr):  # Ray's own threads print what they warn of; what is asked for goes to stdout
            try:
                rows = await asyncio.to_thread(self._start, first[1])
                async with aclosing(self._in_order(rows, first, places)) as answers:
                    async for answer in answers:
                        yield answer
            finally:
                await asyncio.to_thread(_stop)

    async def _in_order(
        self, rows: Iterator[dict[str, Any]], first: tuple[Record, int, int], places: Iterator[tuple[Record, int, int]]
    ) -> AsyncGenerator[Answer, None]:
        wanted: tuple[Record, int, int] | None = first
        index = 0
        while wanted is not None:
            record, line, ordinal = wanted
            found = await asyncio.to_thread(_next, rows)
            if found is None:
                raise EngineError(f"{self.path}:{line}: Ray has given no answer; has the file changed?")
            if (found["line"], found["ordinal"]) < (line, ordinal):
                continue  # of the piece that an earlier run was in the middle of
            if (found["line"], found["ordinal"]) != (line, ordinal):
                raise EngineError(
                    f"{self.path}:{line}: Ray's answer is for line {found['line']}; has the file changed?"
                )
            yield _answer(index, record, found["answer"], self.options)
            index += 1
            wanted = next(places, None)
        if await asyncio.to_thread(_next, rows) is not None:  # to its end, or Ray complains when it is shut down
            raise EngineError(f"{self.path}: Ray has answers to more cases than there are; has the file changed?")

    def _start(self, line: int) -> Iterator[dict[str, Any]]:
        import ray

        own = {"object_store_memory": self.ray_memory_mb * 2**20, "include_dashboard": False}
        settings = {"log_to_driver": False, "logging_level": logging.ERROR}
        try:
            ray.init(self.ray_address or "local", **settings, **({} if self.ray_address else own))
        except Exception as error:  # it has no class of its own for a node that doesn't come up in time
            raise EngineError(f"Ray does not start, or is not reached: {error}") from error
        logging.getLogger("ray").setLevel(logging.ERROR)  # it warns of its own calls, too
        context = ray.data.DataContext.get_current()
        context.execution_options.preserve_order = True
        context.enable_progress_bars = False
        every = list(pieces(self.path))
        left = [
            piece for number, piece in enumerate(every) if number + 1 == len(every) or every[number + 1].line > line
        ]
        data = ray.data.from_items([asdict(piece) for piece in left], override_num_blocks=min(len(left), MOST_BLOCKS))
        workers = ray.data.ActorPoolStrategy(min_size=1, max_size=MOST_WORKERS)
        judged = data.map_batches(_Judging, fn_constructor_args=(self,), batch_size=1, compute=workers, num_cpus=0.5)
        return iter(judged.iter_rows())


class _Judging:
    """One of Ray's workers."""

    def __init__(self, run: OnRay) -> None:
        from judger.client import connect

        self._run = run
        self._runner = asyncio.Runner()
        self._client = connect(run.address, **run.settings)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Answers to the cases of one piece."""
        (start,), (end,), (line,) = (batch[name].tolist() for name in ("start", "end", "line"))
        with open(self._run.path, "rb") as file, tempfile.NamedTemporaryFile(suffix=".jsonl") as piece:
            file.seek(start)
            text = file.read(end - start)
            if text.isspace():
                return {"line": [], "ordinal": [], "answer": []}
            piece.write(text)
            piece.flush()
            records = list(iter_records(piece.name, rubric=self._run.rubric, monitors=self._run.monitors))
        answers = self._runner.run(self._judge(records))
        places = [(line + at - 1, ordinal) for _, at, ordinal in _places(records)]
        return {
            "line": [place[0] for place in places],
            "ordinal": [place[1] for place in places],
            "answer": answers,
        }

    async def _judge(self, records: Sequence[Record]) -> list[bytes]:
        from judger import wire
        from judger.v1 import judger_pb2 as pb

        answers = [b""] * len(records)
        cases = (as_sent(record.case) for record in records)
        async for index, answer in self._client.judge_stream(cases, self._run.options, timeout=self._run.timeout):
            if isinstance(answer, JudgerError):
                message = pb.JudgeResponse(error=wire.error_status(answer))
            else:
                message = wire.write_response(answer)
            answers[index] = message.SerializeToString()
        return answers


def pieces(path: Path) -> Iterator[Piece]:
    """The file, cut behind lines."""
    start, line, position, number = 0, 1, 0, 1
    with open(path, "rb") as file:
        for text in file:
            position += len(text)
            number += 1
            if position - start >= PIECE_BYTES or number - line >= PIECE_LINES:
                yield Piece(start, position, line)
                start, line = position, number
    if position > start:
        yield Piece(start, position, line)


def check_input(path: Path) -> None:
    """Raises InvalidRequest for what can't be cut behind its lines, and where Ray is not installed."""
    try:
        import ray.data  # noqa: F401
    except ModuleNotFoundError as error:
        raise InvalidRequest("--ray", f"{error.name} is not installed: pip install 'checklist-judger[ray]'") from error
    is_plain = path.suffix == ".jsonl" and (path.is_file() or not path.exists())
    with suppress(OSError):  # what can't be read is told by whoever reads it
        if is_plain:
            with open(path, "rb") as file:
                is_plain = not file.read(2).startswith(GZIP_MAGIC)
    if not is_plain:
        raise InvalidRequest(str(path), "must be for --ray a plain .jsonl file: its pieces are read by themselves")


def _places(records: Iterable[Record]) -> Iterator[tuple[Record, int, int]]:
    """(record, its line, how many of that line came before it)."""
    line = ordinal = 0
    for record in records:
        ordinal = ordinal + 1 if record.line == line else 0
        line = record.line
        yield record, line, ordinal


def _answer(index: int, record: Record, raw: bytes, options: Options) -> Answer:
    from judger.client.answers import read_answer
    from judger.v1 import judger_pb2 as pb

    response = pb.JudgeResponse.FromString(raw)
    answer = read_answer(response, as_sent(record.case).criteria)
    if isinstance(answer, JudgerError):
        return Answer(index, record, error=answer)
    return Answer(index, record, judgement=settled(record.case, answer, options))


def _stop() -> None:
    import ray

    ray.shutdown()


def _next(rows: Iterator[dict[str, Any]]) -> dict[str, Any] | None:
    from ray.exceptions import RayError, RayTaskError

    try:
        return next(rows, None)
    except RayTaskError as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, JudgerError):
            cause = getattr(cause, "cause", None) or cause.__cause__
        raise (cause or EngineError(f"a worker of Ray's failed: {error}")) from error
    except RayError as error:
        raise EngineError(f"Ray failed: {error}") from error
