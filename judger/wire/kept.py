"""Responses as files keep them: `judgement` beside a case, perhaps with the `text` that `--evidence-text` adds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from judger.errors import InvalidRequest
from judger.types import Criterion, Judgement
from judger.v1 import judger_pb2 as pb
from judger.wire.as_json import read_json
from judger.wire.responses import read_response


def read_kept(values: object, criteria: Sequence[Criterion]) -> tuple[Judgement | None, str]:
    """The judgement of a case with these criteria, or None and why there is none.

    Its `criteria` are those that were judged: without the ones of weight 0 where these are no monitors, but were
    dropped, as a benchmark's are.

    Raises InvalidRequest, also where the verdicts are of other criteria, and EngineError where they make no sense.
    """
    if isinstance(values, Mapping) and (error := values.get("error")):
        return None, str(error.get("message", error) if isinstance(error, Mapping) else error)
    found = read_response(read_json(_without_texts(values), pb.JudgeResponse))
    ids = [verdict.criterion_id for verdict in found.verdicts]
    for judged in (tuple(criteria), tuple(criterion for criterion in criteria if not criterion.is_monitor)):
        if ids == [criterion.id for criterion in judged]:
            return replace(found, criteria=judged), ""
    raise InvalidRequest("verdicts", "are not those of the line's criteria, one for each in their order")


def _without_texts(values: object) -> object:
    if not isinstance(values, Mapping) or not isinstance(verdicts := values.get("verdicts"), list):
        return values
    return {**values, "verdicts": [_bare(verdict) for verdict in verdicts]}


def _bare(verdict: object) -> object:
    if not isinstance(verdict, Mapping):
        return verdict
    if isinstance(score := verdict.get("score"), Mapping):
        verdict = {**verdict, "score": {k: v for k, v in score.items() if k != "why"}}
    if not isinstance(spans := verdict.get("evidence"), list):
        return verdict
    bare = [{k: v for k, v in span.items() if k != "text"} if isinstance(span, Mapping) else span for span in spans]
    return {**verdict, "evidence": bare}
