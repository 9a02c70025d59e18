"""Who is judging, as GetJudge says."""

from __future__ import annotations

from dataclasses import dataclass, fields

from judger.errors import EngineError
from judger.types import Limits
from judger.v1 import judger_pb2 as pb
from judger.verdict import Calibration


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How much there is to do."""

    requests_in_flight: int
    queued_criteria: int
    queued_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeInfo:
    """A judge, its limits and its load."""

    judge_id: str
    """A digest of everything that can change a verdict: pin it with `connect(..., judge_id=...)`."""
    engine: str
    model: str
    model_id: str
    """A digest of the model without its calibration: what a calibration is fitted for."""
    label_mass: float | None
    """Share of the model's distribution on the label words; None for judges that read no words."""
    version: str
    precision: str
    languages: tuple[str, ...]
    """BCP 47 tags; empty: whatever the model can read."""
    can_explain: bool
    can_compare: bool
    """Without criteria."""
    limits: Limits
    prompt_tokens: int
    """The longest prompt; 0 where there is no such limit."""
    calibration: Calibration
    load: Load


def read_info(message: pb.JudgeInfo) -> JudgeInfo:
    """The answer of GetJudge in our types. Raises EngineError where it makes no sense."""
    limits, load = message.limits, message.load
    known = {one.name for one in pb.Limits.DESCRIPTOR.fields}
    return JudgeInfo(
        judge_id=message.judge_id,
        engine=message.engine,
        model=message.model,
        model_id=message.model_id,
        label_mass=message.label_mass if message.HasField("label_mass") else None,
        version=message.version,
        precision=message.precision,
        languages=tuple(message.languages),
        can_explain=message.can_explain,
        can_compare=message.can_compare,
        limits=Limits(**{one.name: getattr(limits, one.name) for one in fields(Limits) if one.name in known}),
        prompt_tokens=limits.prompt_tokens,
        calibration=_calibration(message.calibration),
        load=Load(
            requests_in_flight=load.requests_in_flight,
            queued_criteria=load.queued_criteria,
            queued_tokens=load.queued_tokens,
        ),
    )


def _calibration(message: pb.Calibration) -> Calibration:
    try:
        to_not, to_partial, to_full = message.bias
        return Calibration(
            temperature=message.temperature,
            bias=(to_not, to_partial, to_full),
            positive_threshold=message.positive_threshold,
            negative_threshold=message.negative_threshold,
            partial_threshold=message.partial_threshold,
            fitted_on=message.fitted_on,
            fitted_for=message.fitted_for,
        )
    except ValueError as error:
        raise EngineError(f"the server states a calibration that is none: {error}") from error
