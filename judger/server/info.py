"""What GetJudge says."""

from __future__ import annotations

from judger.judge import Judge
from judger.types import LIMITS
from judger.v1 import judger_pb2 as pb
from judger.version import __version__
from judger.wire.text import whole_text


def judge_info(judge: Judge) -> pb.JudgeInfo:
    """Who judges, under which limits, with how much to do."""
    engine = judge.engine
    criteria, tokens = judge.work.queued
    return pb.JudgeInfo(
        judge_id=judge.judge_id,
        engine=engine.identity.engine,
        model=whole_text(engine.identity.model),
        version=__version__,
        limits=pb.Limits(
            report_bytes=LIMITS.report_bytes,
            criteria=LIMITS.criteria,
            message_bytes=LIMITS.message_bytes,
            group_reports=LIMITS.group_reports,
            query_bytes=LIMITS.query_bytes,
            criterion_bytes=LIMITS.criterion_bytes,
            prompt_tokens=engine.capabilities.prompt_tokens,
            in_flight_bytes=LIMITS.in_flight_bytes,
            watches=LIMITS.watches,
        ),
        languages=engine.capabilities.languages,
        calibration=pb.Calibration(
            temperature=judge.calibration.temperature,
            bias=judge.calibration.bias,
            positive_threshold=judge.calibration.positive_threshold,
            negative_threshold=judge.calibration.negative_threshold,
            partial_threshold=judge.calibration.partial_threshold,
            fitted_on=whole_text(judge.calibration.fitted_on),
            fitted_for=whole_text(judge.calibration.fitted_for),
        ),
        load=pb.Load(requests_in_flight=judge.num_in_flight, queued_criteria=criteria, queued_tokens=tokens),
        can_explain=engine.capabilities.can_explain,
        can_compare=engine.capabilities.can_compare,
        precision=engine.identity.precision,
        model_id=engine.identity.model_id,
        label_mass=judge.label_mass.mean,
    )
