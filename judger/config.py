"""Configuration: parsed once, frozen, unknown keys refused. Nothing below reads the environment.

A field is a setting, and its flag on the command line (`judger.flags`): there is no second list of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from judger.flags import Flag, flag_of
from judger.types import IN_FLIGHT

Weight = Annotated[float, Field(ge=1e-3, le=1e3, allow_inf_nan=False)]
"""A lane's share. Without one it would never have its turn."""
EngineName = Literal["mini", "small", "torch", "vllm", "openai", "decisions", "scripted", "cascade"]
Way = Literal["logprobs", "choice", "structured"]
"""How an endpoint is made to name a label (`judger.engines.openai.request`)."""
Reading = Literal["auto", "logprobs", "choice", "structured"]
BUILT_IN: tuple[EngineName, ...] = ("mini", "small")
"""The engines whose weights ship: `small` needs a base model beside them."""
BASED: tuple[EngineName, ...] = ("small", "cascade")
"""The engines that may need the small judge's base."""
WRITING: tuple[EngineName, ...] = ("torch", "vllm", "openai")
"""The engines that write reasons."""
PROMPTED: tuple[EngineName, ...] = (*WRITING, "decisions")
"""The engines that read a prompt, and so need a fence key."""
FENCED: tuple[EngineName, ...] = (*PROMPTED, "cascade")
"""The engines that have a fence key; a cascade's judges share it."""
REMOTE: tuple[EngineName, ...] = ("openai", "decisions")
"""The engines that ask an endpoint."""
LISTENING = "the server"
CALLERS = "who may call"
KEPT = "verdicts kept"
LOAD = "load and failures"
TOLD = "what it tells"


C = TypeVar("C", bound="EngineConfig")


class EngineConfig(BaseModel):
    """Which engine judges, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine: EngineName = Field("mini", description="which engine judges")
    model: Annotated[str | None, Flag("NAME_OR_PATH", only=(*BUILT_IN, *PROMPTED))] = Field(
        None, description="a folder of weights, or the model's name at the endpoint"
    )
    base: Annotated[Path | None, Flag("FOLDER", only=BASED)] = Field(
        None, description="the small judge's base model; default: where `judger get small` puts it"
    )
    device: Annotated[str, Flag("D", only=(*BUILT_IN, "torch"))] = Field(
        "auto", description="cpu, cuda, cuda:1 ...; auto takes CUDA where there is one"
    )
    dtype: Annotated[Literal["auto", "float32", "bfloat16", "float16"], Flag(only=("torch", "vllm"))] = Field(
        "auto", description="the weights' precision"
    )
    threads: Annotated[int | None, Flag(only=(*BUILT_IN, "torch"))] = Field(
        None, ge=1, description="CPU threads; default: all cores"
    )
    max_batch_tokens: int = Field(16_384, ge=1, description="token budget of one batch")
    max_wait: Annotated[float, Flag("SECONDS")] = Field(
        0.002, ge=0, le=10, description="seconds a case waits for company"
    )
    max_prompt_tokens: Annotated[int | None, Flag(only=("torch", "vllm"))] = Field(
        None, ge=1, description="refuse longer prompts; default: the model's limit"
    )
    deterministic: Annotated[bool, Flag(only=("torch",))] = Field(
        False, description="the same bits whatever the company, at some cost"
    )
    judge_all: Annotated[bool, Flag(only=BUILT_IN)] = Field(
        False, description="a verdict on kinds of criteria that it is bad at, too"
    )
    step_mb: Annotated[int, Flag(only=("torch",))] = Field(
        1024, ge=1, description="megabytes for the activations of one forward"
    )
    kv_cache_mb: Annotated[int, Flag(only=("torch",))] = Field(
        512, ge=0, description="megabytes for keys and values of reports seen lately"
    )
    reason_tokens: Annotated[int | None, Flag(only=WRITING)] = Field(
        None, ge=16, description="tokens a written reason may take"
    )
    trial_temperature: Annotated[float, Flag("T", only=WRITING)] = Field(
        0.7, ge=0, le=2, allow_inf_nan=False, description="at which several trials write their reasons; one is greedy"
    )
    quantization: Annotated[str | None, Flag("NAME", only=("vllm",))] = Field(
        None, description="as its own option of that name"
    )
    tensor_parallel_size: Annotated[int, Flag(only=("vllm",))] = Field(1, ge=1, description="GPUs that share one model")
    data_parallel_size: Annotated[int, Flag(only=("vllm",))] = Field(1, ge=1, description="copies of the model")
    base_url: Annotated[str | None, Flag("URL", only=REMOTE)] = Field(
        None, description="the endpoint, such as http://localhost:8000/v1"
    )
    api: Annotated[Literal["openai", "systemone"] | None, Flag(only=("decisions",))] = Field(
        None, description="the endpoint's protocol; default: found out with the first request"
    )
    reading: Annotated[Reading, Flag(only=("openai",))] = Field(
        "auto",
        description="how a label comes: in free text with log-probabilities, held to the words by vLLM's "
        "structured_outputs, held to a JSON schema; auto tries them in this order",
    )
    min_label_mass: Annotated[float, Flag("P", only=PROMPTED)] = Field(
        0.001, ge=0, le=1, description="with less of the distribution on the labels a criterion is unscored"
    )
    api_key_file: Annotated[Path | None, Flag(only=REMOTE)] = Field(
        None, description="a file with the key in its first line"
    )
    cascade: Annotated[Path | None, Flag(only=("cascade",))] = Field(
        None, description="TOML or YAML: which judge settles what is clear, and which is asked about the rest"
    )
    cascade_level: Annotated[Literal["both", "first", "second"], Flag(only=("cascade",))] = Field(
        "both", description="ask that level alone"
    )
    fence_key_file: Annotated[Path | None, Flag(only=FENCED)] = Field(
        None,
        description="a file with the secret of the reports' fences, the same on all replicas; made where it is "
        "missing; default: one in your state folder",
    )
    bars: bool = Field(False, description="progress bars of the libraries that load a model, on standard error")
    calibration: Path | None = Field(None, description="a file of judger calibrate, instead of the engine's own")

    @field_validator("*")
    @classmethod
    def _is_read(cls, value: object, info: ValidationInfo) -> object:
        """Refuses a setting that this engine would never look at: whoever gave it expects it to do something."""
        field = cls.model_fields[info.field_name or ""]
        only, engine = flag_of(field).only, info.data.get("engine")
        if only and engine is not None and engine not in only and value != field.default:
            raise PydanticCustomError(
                "without_effect", "{reason}", {"reason": f"is for {' or '.join(only)}; the engine is {engine}"}
            )
        return value


class ServeConfig(EngineConfig):
    """The server around the engine."""

    host: Annotated[str, Flag("ADDRESS", LISTENING)] = Field("127.0.0.1", description="address to listen on")
    port: Annotated[int, Flag(group=LISTENING)] = Field(50051, ge=0, le=65535, description="0 takes a free one")
    http_port: Annotated[int | None, Flag(group=LISTENING)] = Field(
        None, ge=0, le=65535, description="the same in JSON over HTTP; default: not served"
    )
    origin: Annotated[str | None, Flag("URL", LISTENING)] = Field(
        None,
        pattern=r"^https?://[^/\s]{1,250}$",
        description="how browsers name the HTTP port where a proxy or a name stands before it: https://judge.internal",
    )
    unscored: Annotated[float | None, Flag("NUMBER", LISTENING)] = Field(
        None,
        allow_inf_nan=False,
        description="what a bare-number HTTP route says where there is no reward; default: 422",
    )
    keep_reasoning: Annotated[bool, Flag(group=LISTENING)] = Field(
        False, description="judge <think>...</think> of HTTP's reward routes, too"
    )
    metrics_port: Annotated[int | None, Flag(group=LISTENING)] = Field(
        None, ge=0, le=65535, description="Prometheus metrics; default: not served"
    )
    grace: Annotated[float, Flag("SECONDS", LISTENING)] = Field(
        30.0, ge=0, description="seconds that running work gets to finish after SIGTERM"
    )
    stream_in_flight: Annotated[int, Flag(group=LISTENING)] = Field(
        IN_FLIGHT, ge=1, description="requests of one JudgeStream call judged at a time"
    )
    allow_remote: Annotated[bool, Flag(group=LISTENING)] = Field(
        False, description="listen beyond loopback without tokens or encryption"
    )
    tokens: Annotated[Path | None, Flag(group=CALLERS)] = Field(
        None, description="a file of bearer tokens' digests; callers need one of them"
    )
    tls_cert: Annotated[Path | None, Flag(group=CALLERS)] = Field(
        None, description="PEM: the server's certificate chain"
    )
    tls_key: Annotated[Path | None, Flag(group=CALLERS)] = Field(None, description="PEM: its private key")
    tls_client_ca: Annotated[Path | None, Flag(group=CALLERS)] = Field(
        None, description="PEM: only clients with a certificate of this CA may connect"
    )
    cache: Annotated[Path | None, Flag(group=KEPT)] = Field(
        None, description="a file that keeps verdicts, so that none is judged twice"
    )
    cache_mb: Annotated[int, Flag(group=KEPT)] = Field(1024, ge=1, description="megabytes that this file may take")
    cache_redis: Annotated[str | None, Flag("URL", KEPT)] = Field(
        None, description="a Redis that several servers share: redis://HOST:PORT"
    )
    cache_memory_mb: Annotated[int, Flag(group=KEPT)] = Field(
        64, ge=0, description="megabytes of verdicts kept in memory; 0 keeps none"
    )
    max_queued_tokens: Annotated[int, Flag(group=LOAD)] = Field(
        4_000_000, ge=1, description="a lane's tokens in the queue; more are refused"
    )
    lane_weights: Annotated[tuple[Weight, Weight, Weight], Flag("T,E,B", LOAD)] = Field(
        (6.0, 3.0, 1.0), description="shares of training, evaluation and bulk while all have work"
    )
    engine_timeout: Annotated[float, Flag("SECONDS", LOAD)] = Field(
        600.0, gt=0, description="seconds after which a batch that still runs is given up"
    )
    restart_backoff: Annotated[float, Flag("SECONDS", LOAD)] = Field(
        0.5, gt=0, description="seconds before a dead engine's first restart; then doubled"
    )
    log_texts: Annotated[bool, Flag(group=TOLD)] = Field(
        False, description="queries, reports and criteria in the log, too"
    )
    otlp: Annotated[str | None, Flag("URL", TOLD)] = Field(
        None, description="OpenTelemetry collector for traces, such as http://localhost:4317"
    )

    @field_validator("cache_mb")
    @classmethod
    def _has_a_file(cls, value: int, info: ValidationInfo) -> int:
        if info.data.get("cache") is None:
            raise PydanticCustomError("without_effect", "says how large --cache may grow: give that, too")
        return value


ENGINE_SETTINGS = tuple(name for name in EngineConfig.model_fields if name != "bars")  # told by the terminal
SERVER_SETTINGS = tuple(name for name in ServeConfig.model_fields if name not in EngineConfig.model_fields)


def user_key_file(environment: Mapping[str, str]) -> Path | None:
    """Where a user's own fence key lies: in $XDG_STATE_HOME, else ~/.local/state; None without a home."""
    return _of_user(environment, "XDG_STATE_HOME", (".local", "state"), "fence.key")


def user_base(environment: Mapping[str, str]) -> Path | None:
    """Where the small judge's base lies: in $XDG_CACHE_HOME, else ~/.cache; None without a home."""
    return _of_user(environment, "XDG_CACHE_HOME", (".cache",), "small")


def with_user_base(config: C, environment: Mapping[str, str]) -> C:
    """The same with the user's own base of the small judge, where the engine may need one and none was named."""
    if config.engine not in BASED or config.base is not None:
        return config
    return config.model_copy(update={"base": user_base(environment)})


def _of_user(environment: Mapping[str, str], variable: str, below_home: tuple[str, ...], name: str) -> Path | None:
    """The XDG base directory specification has a relative variable ignored."""
    folder = Path(environment.get(variable, ""))
    if not folder.is_absolute():
        home = environment.get("HOME") or environment.get("USERPROFILE")
        if not home or not Path(home).is_absolute():
            return None
        folder = Path(home, *below_home)
    return folder / "checklist-judger" / name
