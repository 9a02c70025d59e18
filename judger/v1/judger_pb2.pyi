from google.rpc import status_pb2 as _status_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Criterion(_message.Message):
    __slots__ = ("id", "text", "weight", "role", "axis", "fatal")
    class Role(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNSPECIFIED: _ClassVar[Criterion.Role]
        EXPLICIT: _ClassVar[Criterion.Role]
        IMPLICIT: _ClassVar[Criterion.Role]
        NEGATIVE: _ClassVar[Criterion.Role]
    UNSPECIFIED: Criterion.Role
    EXPLICIT: Criterion.Role
    IMPLICIT: Criterion.Role
    NEGATIVE: Criterion.Role
    ID_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    AXIS_FIELD_NUMBER: _ClassVar[int]
    FATAL_FIELD_NUMBER: _ClassVar[int]
    id: str
    text: str
    weight: float
    role: Criterion.Role
    axis: str
    fatal: bool
    def __init__(self, id: _Optional[str] = ..., text: _Optional[str] = ..., weight: _Optional[float] = ..., role: _Optional[_Union[Criterion.Role, str]] = ..., axis: _Optional[str] = ..., fatal: bool = ...) -> None: ...

class Mapping(_message.Message):
    __slots__ = ()
    class Value(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNSPECIFIED: _ClassVar[Mapping.Value]
        STRICT: _ClassVar[Mapping.Value]
        TERNARY: _ClassVar[Mapping.Value]
        EXPECTED: _ClassVar[Mapping.Value]
    UNSPECIFIED: Mapping.Value
    STRICT: Mapping.Value
    TERNARY: Mapping.Value
    EXPECTED: Mapping.Value
    def __init__(self) -> None: ...

class Explain(_message.Message):
    __slots__ = ()
    class Value(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNSPECIFIED: _ClassVar[Explain.Value]
        NEVER: _ClassVar[Explain.Value]
        UNDER_MARGIN: _ClassVar[Explain.Value]
        ALWAYS: _ClassVar[Explain.Value]
    UNSPECIFIED: Explain.Value
    NEVER: Explain.Value
    UNDER_MARGIN: Explain.Value
    ALWAYS: Explain.Value
    def __init__(self) -> None: ...

class Lane(_message.Message):
    __slots__ = ()
    class Value(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNSPECIFIED: _ClassVar[Lane.Value]
        TRAINING: _ClassVar[Lane.Value]
        EVALUATION: _ClassVar[Lane.Value]
        BULK: _ClassVar[Lane.Value]
    UNSPECIFIED: Lane.Value
    TRAINING: Lane.Value
    EVALUATION: Lane.Value
    BULK: Lane.Value
    def __init__(self) -> None: ...

class JudgeRequest(_message.Message):
    __slots__ = ("request_id", "query", "report", "criteria", "mapping", "explain", "explain_margin", "trials", "judge_id", "allow_unscored", "lane", "language")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    CRITERIA_FIELD_NUMBER: _ClassVar[int]
    MAPPING_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_MARGIN_FIELD_NUMBER: _ClassVar[int]
    TRIALS_FIELD_NUMBER: _ClassVar[int]
    JUDGE_ID_FIELD_NUMBER: _ClassVar[int]
    ALLOW_UNSCORED_FIELD_NUMBER: _ClassVar[int]
    LANE_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    query: str
    report: str
    criteria: _containers.RepeatedCompositeFieldContainer[Criterion]
    mapping: Mapping.Value
    explain: Explain.Value
    explain_margin: float
    trials: int
    judge_id: str
    allow_unscored: bool
    lane: Lane.Value
    language: str
    def __init__(self, request_id: _Optional[str] = ..., query: _Optional[str] = ..., report: _Optional[str] = ..., criteria: _Optional[_Iterable[_Union[Criterion, _Mapping]]] = ..., mapping: _Optional[_Union[Mapping.Value, str]] = ..., explain: _Optional[_Union[Explain.Value, str]] = ..., explain_margin: _Optional[float] = ..., trials: _Optional[int] = ..., judge_id: _Optional[str] = ..., allow_unscored: bool = ..., lane: _Optional[_Union[Lane.Value, str]] = ..., language: _Optional[str] = ...) -> None: ...

class JudgeGroupRequest(_message.Message):
    __slots__ = ("request_id", "query", "reports", "criteria", "mapping", "explain", "explain_margin", "trials", "judge_id", "allow_unscored", "lane", "language")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    REPORTS_FIELD_NUMBER: _ClassVar[int]
    CRITERIA_FIELD_NUMBER: _ClassVar[int]
    MAPPING_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_MARGIN_FIELD_NUMBER: _ClassVar[int]
    TRIALS_FIELD_NUMBER: _ClassVar[int]
    JUDGE_ID_FIELD_NUMBER: _ClassVar[int]
    ALLOW_UNSCORED_FIELD_NUMBER: _ClassVar[int]
    LANE_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    query: str
    reports: _containers.RepeatedScalarFieldContainer[str]
    criteria: _containers.RepeatedCompositeFieldContainer[Criterion]
    mapping: Mapping.Value
    explain: Explain.Value
    explain_margin: float
    trials: int
    judge_id: str
    allow_unscored: bool
    lane: Lane.Value
    language: str
    def __init__(self, request_id: _Optional[str] = ..., query: _Optional[str] = ..., reports: _Optional[_Iterable[str]] = ..., criteria: _Optional[_Iterable[_Union[Criterion, _Mapping]]] = ..., mapping: _Optional[_Union[Mapping.Value, str]] = ..., explain: _Optional[_Union[Explain.Value, str]] = ..., explain_margin: _Optional[float] = ..., trials: _Optional[int] = ..., judge_id: _Optional[str] = ..., allow_unscored: bool = ..., lane: _Optional[_Union[Lane.Value, str]] = ..., language: _Optional[str] = ...) -> None: ...

class Span(_message.Message):
    __slots__ = ("start", "end")
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    start: int
    end: int
    def __init__(self, start: _Optional[int] = ..., end: _Optional[int] = ...) -> None: ...

class Score(_message.Message):
    __slots__ = ("label", "p_not", "p_partial", "p_full", "satisfied", "margin")
    class Label(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNSPECIFIED: _ClassVar[Score.Label]
        NOT_SATISFIED: _ClassVar[Score.Label]
        PARTIALLY_SATISFIED: _ClassVar[Score.Label]
        FULLY_SATISFIED: _ClassVar[Score.Label]
    UNSPECIFIED: Score.Label
    NOT_SATISFIED: Score.Label
    PARTIALLY_SATISFIED: Score.Label
    FULLY_SATISFIED: Score.Label
    LABEL_FIELD_NUMBER: _ClassVar[int]
    P_NOT_FIELD_NUMBER: _ClassVar[int]
    P_PARTIAL_FIELD_NUMBER: _ClassVar[int]
    P_FULL_FIELD_NUMBER: _ClassVar[int]
    SATISFIED_FIELD_NUMBER: _ClassVar[int]
    MARGIN_FIELD_NUMBER: _ClassVar[int]
    label: Score.Label
    p_not: float
    p_partial: float
    p_full: float
    satisfied: bool
    margin: float
    def __init__(self, label: _Optional[_Union[Score.Label, str]] = ..., p_not: _Optional[float] = ..., p_partial: _Optional[float] = ..., p_full: _Optional[float] = ..., satisfied: bool = ..., margin: _Optional[float] = ...) -> None: ...

class Unscored(_message.Message):
    __slots__ = ("reason", "detail")
    class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNSPECIFIED: _ClassVar[Unscored.Reason]
        TOO_LONG: _ClassVar[Unscored.Reason]
        UNPARSABLE: _ClassVar[Unscored.Reason]
        DEADLINE: _ClassVar[Unscored.Reason]
        UNSUPPORTED_LANGUAGE: _ClassVar[Unscored.Reason]
        ENGINE_ERROR: _ClassVar[Unscored.Reason]
        NOT_JUDGEABLE: _ClassVar[Unscored.Reason]
    UNSPECIFIED: Unscored.Reason
    TOO_LONG: Unscored.Reason
    UNPARSABLE: Unscored.Reason
    DEADLINE: Unscored.Reason
    UNSUPPORTED_LANGUAGE: Unscored.Reason
    ENGINE_ERROR: Unscored.Reason
    NOT_JUDGEABLE: Unscored.Reason
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    reason: Unscored.Reason
    detail: str
    def __init__(self, reason: _Optional[_Union[Unscored.Reason, str]] = ..., detail: _Optional[str] = ...) -> None: ...

class Verdict(_message.Message):
    __slots__ = ("criterion_id", "score", "unscored", "rationale", "evidence")
    CRITERION_ID_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    UNSCORED_FIELD_NUMBER: _ClassVar[int]
    RATIONALE_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    criterion_id: str
    score: Score
    unscored: Unscored
    rationale: str
    evidence: _containers.RepeatedCompositeFieldContainer[Span]
    def __init__(self, criterion_id: _Optional[str] = ..., score: _Optional[_Union[Score, _Mapping]] = ..., unscored: _Optional[_Union[Unscored, _Mapping]] = ..., rationale: _Optional[str] = ..., evidence: _Optional[_Iterable[_Union[Span, _Mapping]]] = ...) -> None: ...

class Reward(_message.Message):
    __slots__ = ("value", "raw", "normalized", "clamped", "positive_weight", "negative_weight", "mapping", "fatal")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    RAW_FIELD_NUMBER: _ClassVar[int]
    NORMALIZED_FIELD_NUMBER: _ClassVar[int]
    CLAMPED_FIELD_NUMBER: _ClassVar[int]
    POSITIVE_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    NEGATIVE_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    MAPPING_FIELD_NUMBER: _ClassVar[int]
    FATAL_FIELD_NUMBER: _ClassVar[int]
    value: float
    raw: float
    normalized: float
    clamped: float
    positive_weight: float
    negative_weight: float
    mapping: Mapping.Value
    fatal: bool
    def __init__(self, value: _Optional[float] = ..., raw: _Optional[float] = ..., normalized: _Optional[float] = ..., clamped: _Optional[float] = ..., positive_weight: _Optional[float] = ..., negative_weight: _Optional[float] = ..., mapping: _Optional[_Union[Mapping.Value, str]] = ..., fatal: bool = ...) -> None: ...

class Usage(_message.Message):
    __slots__ = ("prompt_tokens", "shared_tokens", "queue_seconds", "engine_seconds", "joined_criteria", "cached_criteria")
    PROMPT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    SHARED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    QUEUE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    ENGINE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    JOINED_CRITERIA_FIELD_NUMBER: _ClassVar[int]
    CACHED_CRITERIA_FIELD_NUMBER: _ClassVar[int]
    prompt_tokens: int
    shared_tokens: int
    queue_seconds: float
    engine_seconds: float
    joined_criteria: int
    cached_criteria: int
    def __init__(self, prompt_tokens: _Optional[int] = ..., shared_tokens: _Optional[int] = ..., queue_seconds: _Optional[float] = ..., engine_seconds: _Optional[float] = ..., joined_criteria: _Optional[int] = ..., cached_criteria: _Optional[int] = ...) -> None: ...

class JudgeResponse(_message.Message):
    __slots__ = ("request_id", "index", "verdicts", "reward", "judge_id", "usage", "flags", "error")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    VERDICTS_FIELD_NUMBER: _ClassVar[int]
    REWARD_FIELD_NUMBER: _ClassVar[int]
    JUDGE_ID_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    FLAGS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    index: int
    verdicts: _containers.RepeatedCompositeFieldContainer[Verdict]
    reward: Reward
    judge_id: str
    usage: Usage
    flags: _containers.RepeatedScalarFieldContainer[str]
    error: _status_pb2.Status
    def __init__(self, request_id: _Optional[str] = ..., index: _Optional[int] = ..., verdicts: _Optional[_Iterable[_Union[Verdict, _Mapping]]] = ..., reward: _Optional[_Union[Reward, _Mapping]] = ..., judge_id: _Optional[str] = ..., usage: _Optional[_Union[Usage, _Mapping]] = ..., flags: _Optional[_Iterable[str]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ...) -> None: ...

class CompareRequest(_message.Message):
    __slots__ = ("request_id", "query", "report_a", "report_b", "criteria", "mapping", "judge_id", "lane", "language")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    REPORT_A_FIELD_NUMBER: _ClassVar[int]
    REPORT_B_FIELD_NUMBER: _ClassVar[int]
    CRITERIA_FIELD_NUMBER: _ClassVar[int]
    MAPPING_FIELD_NUMBER: _ClassVar[int]
    JUDGE_ID_FIELD_NUMBER: _ClassVar[int]
    LANE_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    query: str
    report_a: str
    report_b: str
    criteria: _containers.RepeatedCompositeFieldContainer[Criterion]
    mapping: Mapping.Value
    judge_id: str
    lane: Lane.Value
    language: str
    def __init__(self, request_id: _Optional[str] = ..., query: _Optional[str] = ..., report_a: _Optional[str] = ..., report_b: _Optional[str] = ..., criteria: _Optional[_Iterable[_Union[Criterion, _Mapping]]] = ..., mapping: _Optional[_Union[Mapping.Value, str]] = ..., judge_id: _Optional[str] = ..., lane: _Optional[_Union[Lane.Value, str]] = ..., language: _Optional[str] = ...) -> None: ...

class CompareResponse(_message.Message):
    __slots__ = ("request_id", "preference", "difference", "a", "b", "p_a", "position_bias", "judge_id")
    class Preference(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNSPECIFIED: _ClassVar[CompareResponse.Preference]
        A: _ClassVar[CompareResponse.Preference]
        B: _ClassVar[CompareResponse.Preference]
        TIE: _ClassVar[CompareResponse.Preference]
    UNSPECIFIED: CompareResponse.Preference
    A: CompareResponse.Preference
    B: CompareResponse.Preference
    TIE: CompareResponse.Preference
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PREFERENCE_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    A_FIELD_NUMBER: _ClassVar[int]
    B_FIELD_NUMBER: _ClassVar[int]
    P_A_FIELD_NUMBER: _ClassVar[int]
    POSITION_BIAS_FIELD_NUMBER: _ClassVar[int]
    JUDGE_ID_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    preference: CompareResponse.Preference
    difference: float
    a: JudgeResponse
    b: JudgeResponse
    p_a: float
    position_bias: float
    judge_id: str
    def __init__(self, request_id: _Optional[str] = ..., preference: _Optional[_Union[CompareResponse.Preference, str]] = ..., difference: _Optional[float] = ..., a: _Optional[_Union[JudgeResponse, _Mapping]] = ..., b: _Optional[_Union[JudgeResponse, _Mapping]] = ..., p_a: _Optional[float] = ..., position_bias: _Optional[float] = ..., judge_id: _Optional[str] = ...) -> None: ...

class GetJudgeRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Limits(_message.Message):
    __slots__ = ("report_bytes", "criteria", "message_bytes", "group_reports", "query_bytes", "criterion_bytes", "prompt_tokens", "in_flight_bytes", "watches")
    REPORT_BYTES_FIELD_NUMBER: _ClassVar[int]
    CRITERIA_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    GROUP_REPORTS_FIELD_NUMBER: _ClassVar[int]
    QUERY_BYTES_FIELD_NUMBER: _ClassVar[int]
    CRITERION_BYTES_FIELD_NUMBER: _ClassVar[int]
    PROMPT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    IN_FLIGHT_BYTES_FIELD_NUMBER: _ClassVar[int]
    WATCHES_FIELD_NUMBER: _ClassVar[int]
    report_bytes: int
    criteria: int
    message_bytes: int
    group_reports: int
    query_bytes: int
    criterion_bytes: int
    prompt_tokens: int
    in_flight_bytes: int
    watches: int
    def __init__(self, report_bytes: _Optional[int] = ..., criteria: _Optional[int] = ..., message_bytes: _Optional[int] = ..., group_reports: _Optional[int] = ..., query_bytes: _Optional[int] = ..., criterion_bytes: _Optional[int] = ..., prompt_tokens: _Optional[int] = ..., in_flight_bytes: _Optional[int] = ..., watches: _Optional[int] = ...) -> None: ...

class Calibration(_message.Message):
    __slots__ = ("temperature", "bias", "positive_threshold", "negative_threshold", "partial_threshold", "fitted_on", "fitted_for")
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    BIAS_FIELD_NUMBER: _ClassVar[int]
    POSITIVE_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    NEGATIVE_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    PARTIAL_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    FITTED_ON_FIELD_NUMBER: _ClassVar[int]
    FITTED_FOR_FIELD_NUMBER: _ClassVar[int]
    temperature: float
    bias: _containers.RepeatedScalarFieldContainer[float]
    positive_threshold: float
    negative_threshold: float
    partial_threshold: float
    fitted_on: str
    fitted_for: str
    def __init__(self, temperature: _Optional[float] = ..., bias: _Optional[_Iterable[float]] = ..., positive_threshold: _Optional[float] = ..., negative_threshold: _Optional[float] = ..., partial_threshold: _Optional[float] = ..., fitted_on: _Optional[str] = ..., fitted_for: _Optional[str] = ...) -> None: ...

class Load(_message.Message):
    __slots__ = ("requests_in_flight", "queued_criteria", "queued_tokens")
    REQUESTS_IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    QUEUED_CRITERIA_FIELD_NUMBER: _ClassVar[int]
    QUEUED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    requests_in_flight: int
    queued_criteria: int
    queued_tokens: int
    def __init__(self, requests_in_flight: _Optional[int] = ..., queued_criteria: _Optional[int] = ..., queued_tokens: _Optional[int] = ...) -> None: ...

class JudgeInfo(_message.Message):
    __slots__ = ("judge_id", "engine", "model", "version", "limits", "languages", "calibration", "load", "can_explain", "can_compare", "precision", "model_id", "label_mass")
    JUDGE_ID_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    LANGUAGES_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_FIELD_NUMBER: _ClassVar[int]
    LOAD_FIELD_NUMBER: _ClassVar[int]
    CAN_EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    CAN_COMPARE_FIELD_NUMBER: _ClassVar[int]
    PRECISION_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    LABEL_MASS_FIELD_NUMBER: _ClassVar[int]
    judge_id: str
    engine: str
    model: str
    version: str
    limits: Limits
    languages: _containers.RepeatedScalarFieldContainer[str]
    calibration: Calibration
    load: Load
    can_explain: bool
    can_compare: bool
    precision: str
    model_id: str
    label_mass: float
    def __init__(self, judge_id: _Optional[str] = ..., engine: _Optional[str] = ..., model: _Optional[str] = ..., version: _Optional[str] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., languages: _Optional[_Iterable[str]] = ..., calibration: _Optional[_Union[Calibration, _Mapping]] = ..., load: _Optional[_Union[Load, _Mapping]] = ..., can_explain: bool = ..., can_compare: bool = ..., precision: _Optional[str] = ..., model_id: _Optional[str] = ..., label_mass: _Optional[float] = ...) -> None: ...
