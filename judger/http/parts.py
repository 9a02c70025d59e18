"""A case's verdicts as they come: its criteria are asked in parts, the first of one, each twice as large as the last.

The same door, judge and cache as for the whole case, and no criterion is asked twice: the reward is made of the parts.
What a judge does once a report (reading it) it may do once a part: some log2 of the criteria.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from dataclasses import fields, replace

from judger import wire
from judger.errors import JudgeMismatch, JudgerError
from judger.reward import reward
from judger.types import Case, Judgement, Options, Usage, Verdict
from judger.v1 import judger_pb2 as pb

__all__ = ["lines_of"]


def parts(case: Case) -> Iterator[Case]:
    """The case with 1, 2, 4 ... of its criteria, each in one."""
    start, size = 0, 1
    while start < len(case.criteria):
        yield replace(case, criteria=case.criteria[start : start + size])
        start, size = start + size, 2 * size


async def lines_of(
    request: pb.JudgeRequest, judge: Callable[[pb.JudgeRequest], Awaitable[pb.JudgeResponse]]
) -> AsyncGenerator[str, None]:
    """Lines `{"verdicts": [...]}` in the rubric's order, then the whole response.

    Raises what the first part is refused for; what ends a later one is a last line `{"error": ...}`.
    """
    case, options = wire.read_request(request)
    found: list[Judgement] = []
    for part in parts(case):
        try:
            response = await judge(wire.write_request(part, options, request.judge_id))
            judgement = wire.read_response(response)
            if found and judgement.judge_id != found[0].judge_id:
                raise JudgeMismatch(found[0].judge_id, judgement.judge_id)
        except JudgerError as error:
            if not found:
                raise
            yield json.dumps({"error": wire.connect_error(error)}) + "\n"
            return
        found.append(judgement)
        yield json.dumps({"verdicts": json.loads(wire.to_json(response))["verdicts"]}) + "\n"
    yield wire.to_json(wire.write_response(whole(case, found, options))) + "\n"


def whole(case: Case, found: list[Judgement], options: Options) -> Judgement:
    """The judgement of the case from those of its parts."""
    verdicts: tuple[Verdict, ...] = tuple(verdict for judgement in found for verdict in judgement.verdicts)
    usage = Usage(
        **{field.name: sum(getattr(judgement.usage, field.name) for judgement in found) for field in fields(Usage)}
    )
    return Judgement(
        case_id=case.id,
        verdicts=verdicts,
        reward=reward(case.criteria, verdicts, mapping=options.mapping, allow_unscored=options.allow_unscored),
        judge_id=found[0].judge_id,
        usage=usage,
        flags=tuple(dict.fromkeys(flag for judgement in found for flag in judgement.flags)),
    )
