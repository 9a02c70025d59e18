"""Responses: written by a server, read by a client."""

from __future__ import annotations

from judger.errors import EngineError, JudgerError
from judger.pairwise import Comparison, Contest, Preference
from judger.types import (
    Case,
    Judgement,
    Reason,
    Reward,
    Score,
    Span,
    Unscored,
    Usage,
    Verdict,
)
from judger.v1 import judger_pb2 as pb
from judger.wire.enums import LABEL_NUMBERS, LABELS, MAPPING_NUMBERS, MAPPINGS, REASON_NUMBERS, REASONS
from judger.wire.text import whole_text


def write_response(judgement: Judgement, *, index: int = 0) -> pb.JudgeResponse:
    """One judged case; `index` is its report's position in its group, or its request's in its stream."""
    response = pb.JudgeResponse(
        request_id=judgement.case_id, index=index, judge_id=judgement.judge_id, flags=map(whole_text, judgement.flags)
    )
    add = response.verdicts.add
    for verdict in judgement.verdicts:
        message, result = add(), verdict.result
        message.criterion_id = verdict.criterion_id
        if isinstance(result, Score):
            score = message.score
            score.label, score.satisfied, score.margin = LABEL_NUMBERS[result.label], result.satisfied, result.margin
            score.p_not, score.p_partial, score.p_full = result.p_not, result.p_partial, result.p_full
        else:
            message.unscored.reason, message.unscored.detail = REASON_NUMBERS[result.reason], whole_text(result.detail)
        if verdict.rationale is not None:
            message.rationale = whole_text(verdict.rationale)
        for span in verdict.evidence:
            evidence = message.evidence.add()
            evidence.start, evidence.end = span.start, span.end
    usage, spent = response.usage, judgement.usage
    usage.prompt_tokens, usage.shared_tokens = spent.prompt_tokens, spent.shared_tokens
    usage.joined_criteria, usage.cached_criteria = spent.joined_criteria, spent.cached_criteria
    usage.queue_seconds, usage.engine_seconds = spent.queue_seconds, spent.engine_seconds
    reward, ours = response.reward, judgement.reward
    for name in ("value", "raw", "normalized", "clamped"):
        if (number := getattr(ours, name)) is not None:
            setattr(reward, name, number)
    reward.positive_weight, reward.negative_weight = ours.positive_weight, ours.negative_weight
    reward.mapping, reward.fatal = MAPPING_NUMBERS[ours.mapping], ours.fatal
    return response


def write_comparison(contest: Contest, case: Case, judge_id: str) -> pb.CompareResponse:
    """The answer to a comparison without criteria; `case` is the first report's."""
    names = pb.CompareResponse.Preference
    return pb.CompareResponse(
        request_id=case.id,
        preference=(names.TIE, names.A, names.B)[contest.preference],
        p_a=contest.p_a,
        position_bias=contest.position_bias,
        judge_id=judge_id,
    )


def comparison_message(identifier: str, result: Comparison | JudgerError) -> pb.CompareResponse:
    """A comparison as its client has it, for files; of one that failed there is the id alone, and no preference."""
    message = pb.CompareResponse(request_id=identifier)
    if isinstance(result, JudgerError):
        return message
    message.judge_id = result.judge_id
    if result.preference is not None:
        names = pb.CompareResponse.Preference
        known = {Preference.A: names.A, Preference.B: names.B, Preference.TIE: names.TIE}
        message.preference = known[result.preference]
    for name in ("difference", "p_a", "position_bias"):
        if (number := getattr(result, name)) is not None:
            setattr(message, name, number)
    for name in ("a", "b"):
        if (judgement := getattr(result, name)) is not None:
            getattr(message, name).CopyFrom(write_response(judgement))
    return message


def read_comparison(response: pb.CompareResponse) -> Comparison:
    """The comparison. Raises EngineError where it makes no sense."""
    names = pb.CompareResponse.Preference
    known = {names.A: Preference.A, names.B: Preference.B, names.TIE: Preference.TIE}
    return Comparison(
        case_id=response.request_id,
        preference=known.get(response.preference),
        judge_id=response.judge_id,
        difference=response.difference if response.HasField("difference") else None,
        a=read_response(response.a) if response.HasField("a") else None,
        b=read_response(response.b) if response.HasField("b") else None,
        p_a=response.p_a if response.HasField("p_a") else None,
        position_bias=response.position_bias if response.HasField("position_bias") else None,
    )


def read_response(response: pb.JudgeResponse) -> Judgement:
    """The judgement; `index` and `error` are the caller's to read. Raises EngineError where it makes no sense."""
    reward, usage = response.reward, response.usage
    if reward.mapping not in MAPPINGS:
        raise EngineError(f"the server answered with mapping {reward.mapping}, which this client does not know")
    return Judgement(
        case_id=response.request_id,
        verdicts=tuple(map(_read_verdict, response.verdicts)),
        reward=Reward(
            value=reward.value if reward.HasField("value") else None,
            raw=reward.raw if reward.HasField("raw") else None,
            normalized=reward.normalized if reward.HasField("normalized") else None,
            clamped=reward.clamped if reward.HasField("clamped") else None,
            positive_weight=reward.positive_weight,
            negative_weight=reward.negative_weight,
            mapping=MAPPINGS[reward.mapping],
            fatal=reward.fatal,
        ),
        judge_id=response.judge_id,
        usage=Usage(
            prompt_tokens=usage.prompt_tokens,
            shared_tokens=usage.shared_tokens,
            queue_seconds=usage.queue_seconds,
            engine_seconds=usage.engine_seconds,
            joined_criteria=usage.joined_criteria,
            cached_criteria=usage.cached_criteria,
        ),
        flags=tuple(response.flags),
    )


def _read_verdict(message: pb.Verdict) -> Verdict:
    kind = message.WhichOneof("result")
    result: Score | Unscored | None = None
    if kind == "score":
        score = message.score
        if label := LABELS.get(score.label):
            result = Score(label, score.p_not, score.p_partial, score.p_full, score.satisfied, score.margin)
    elif kind == "unscored":  # a reason of a newer server is a failure like any other
        result = Unscored(REASONS.get(message.unscored.reason, Reason.ENGINE_ERROR), message.unscored.detail)
    if result is None:  # a newer server's result is no verdict here, and certainly no zero
        shown = " ".join(str(message).split())
        result = Unscored(Reason.UNPARSABLE, f"a result that this client does not know: {shown}")
    return Verdict(
        criterion_id=message.criterion_id,
        result=result,
        rationale=message.rationale if message.HasField("rationale") else None,
        evidence=tuple([Span(span.start, span.end) for span in message.evidence]),
    )
