"""A judge for a command: a server that runs somewhere, or the same server in this process on a loopback port.

Either way it is asked through the same client, so that there is one path from a file to a verdict.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from judger.cli.console import loading
from judger.cli.exits import INTERRUPTED, TERMINATED
from judger.cli.options import connection, engine_settings, serve_config, with_user_files
from judger.cli.runs import as_sent, settled
from judger.errors import JudgeMismatch, JudgerError, Unsupported
from judger.rubric import Record
from judger.types import Case, Explain, Judgement, Options, Reason, Score, Unscored, Verdict
from judger.verdict import why_unlikely

if TYPE_CHECKING:
    from judger.client import Client, JudgeInfo

WINDOW = 128
"""Cases between the one that is read and the one that is given out: bounds memory where a slow case holds up others."""


@dataclass(frozen=True, slots=True)
class Session:
    """A judge that answers, and who it is."""

    client: Client
    info: JudgeInfo
    """What GetJudge says."""
    timeout: float
    """The longest silence of the server, in seconds."""

    @property
    def judge_id(self) -> str:
        return self.info.judge_id


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one case: a judgement, or why there is none. Exactly one of the two is set."""

    index: int
    record: Record
    judgement: Judgement | None = None
    error: JudgerError | None = None

    @property
    def case(self) -> Case:
        return self.record.case

    @property
    def num_unscored(self) -> int:
        """Criteria without a verdict; all of them where the case was refused."""
        if self.judgement is None:
            return len(self.case.criteria)
        return sum(isinstance(verdict.result, Unscored) for verdict in self.judgement.verdicts)

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """One per criterion; of a refused case all are unscored."""
        if self.judgement is not None:
            return self.judgement.verdicts
        refused = Unscored(Reason.ENGINE_ERROR, f"refused: {self.error}")
        return tuple(Verdict(criterion_id=criterion.id, result=refused) for criterion in self.case.criteria)

    def to_json(self, *, with_text: bool = False) -> str:
        """The response message as protobuf-JSON on one line; if wanted with the `text` of each passage
        of evidence, and `why` where the label of a score has less than half of the probability."""
        from judger import wire
        from judger.v1 import judger_pb2 as pb
        from judger.wire.status import error_status

        if self.judgement is not None:
            message = wire.write_response(self.judgement, index=self.index)
        else:
            assert self.error is not None
            message = pb.JudgeResponse(request_id=self.case.id, index=self.index, error=error_status(self.error))
        line = wire.to_json(message)
        return self._with_text(line) if with_text else line

    def _with_text(self, line: str) -> str:
        response = json.loads(line)
        for verdict, criterion, ours in zip(
            response.get("verdicts", ()), self.case.criteria, self.verdicts, strict=False
        ):
            for span in verdict.get("evidence", ()):
                span["text"] = self.case.report[span["start"] : span["end"]]
            if isinstance(ours.result, Score) and (why := why_unlikely(ours.result, negative=criterion.is_negative)):
                verdict["score"]["why"] = why
        return json.dumps(response, ensure_ascii=False)


@asynccontextmanager
async def judge_session(args: argparse.Namespace, options: Options) -> AsyncIterator[Session]:
    """A judge that answers and can do what is asked; ends with the block.

    Raises:
        JudgeMismatch: `--judge-id` names another one.
        Unsupported: it can't explain.
        Unavailable, EngineError: no server, or no engine.
    """
    from judger.client import connect

    async with AsyncExitStack() as stack:
        with loading("loading the judge", quiet=args.quiet):
            address, settings = args.addr, connection(args)
            if not address:
                from judger.server.process import running
                from judger.server.signals import ending_at_once

                config = serve_config(engine_settings(args) | {"host": "127.0.0.1", "port": 0, "grace": 0.0})
                config = with_user_files(config)
                with ending_at_once({signal.SIGINT: INTERRUPTED, signal.SIGTERM: TERMINATED}):
                    address = (await stack.enter_async_context(running(config))).address
            client = await stack.enter_async_context(connect(address, **settings))
            session = Session(client, await client.get_judge(), args.timeout)
        if args.judge_id and args.judge_id != session.judge_id:
            raise JudgeMismatch(args.judge_id, session.judge_id)
        if options.explain is not Explain.NEVER and not session.info.can_explain:
            raise Unsupported(f"--explain: this judge ({session.info.engine}) writes no rationales")
        yield session


async def in_order(session: Session, records: Iterable[Record], options: Options) -> AsyncGenerator[Answer, None]:
    """An answer for each record, in the order of the records, many of them judged at a time.

    What was refused comes as an answer with an error. Raises what ends the whole stream, such as Unavailable.
    """
    permits = asyncio.Semaphore(WINDOW)
    asked: dict[int, Record] = {}
    ready: dict[int, Answer] = {}

    async def ask() -> AsyncIterator[Case]:
        for index, record in enumerate(records):
            await permits.acquire()
            asked[index] = record
            yield as_sent(record.case)

    next_index = 0
    async with aclosing(session.client.judge_stream(ask(), options, timeout=session.timeout)) as answers:
        async for index, answer in answers:
            record = asked.pop(index)
            if isinstance(answer, JudgerError):
                ready[index] = Answer(index, record, error=answer)
            else:
                ready[index] = Answer(index, record, judgement=settled(record.case, answer, options))
            while next_index in ready:
                yield ready.pop(next_index)
                next_index += 1
                permits.release()
