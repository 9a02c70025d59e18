"""Configuration: parsed once, frozen, unknown keys refused. Nothing below reads the environment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Weight = Annotated[float, Field(ge=1e-3, le=1e3, allow_inf_nan=False)]
"""A lane's share. Without one it would never have its turn."""
EngineName = Literal["mini", "torch", "vllm", "openai", "decisions", "scripted"]
Way = Literal["logprobs", "choice", "structured"]
"""How an endpoint is made to name a label (`judger.engines.openai.request`)."""
Reading = Literal["auto", "logprobs", "choice", "structured"]
PROMPTED: frozenset[EngineName] = frozenset({"torch", "vllm", "openai", "decisions"})
"""The engines that read a prompt, and so have a fence key."""


class EngineConfig(BaseModel):
    """Which engine judges, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine: EngineName = "mini"
    model: str | None = Field(None, description="a folder of weights, or the model's name at the endpoint")
    device: str = Field("auto", description="cpu, cuda, cuda:1 ...; auto takes CUDA where there is one")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    threads: int | None = Field(None, ge=1, description="CPU threads of the engine; default: all cores")
    max_batch_tokens: int = Field(16_384, ge=1, description="token budget of one batch")
    max_wait: float = Field(0.002, ge=0, le=10, description="seconds a case waits for company")
    max_prompt_tokens: int | None = Field(None, ge=1, description="refuse longer prompts; default: the model's limit")
    deterministic: bool = Field(False, description="torch: the same bits whatever the company, at some cost")
    step_mb: int = Field(1024, ge=1, description="torch: megabytes for the activations of one forward")
    kv_cache_mb: int = Field(512, ge=0, description="torch: megabytes for keys and values of reports seen lately")
    reason_tokens: int | None = Field(None, ge=16, description="torch, vllm, openai: tokens a written reason may take")
    quantization: str | None = Field(None, description="vllm: as its own option of that name")
    tensor_parallel_size: int = Field(1, ge=1, description="vllm: GPUs that share one model")
    data_parallel_size: int = Field(1, ge=1, description="vllm: copies of the model")
    base_url: str | None = Field(None, description="openai, decisions: the endpoint, such as http://localhost:8000/v1")
    api: Literal["openai", "systemone"] | None = Field(
        None, description="decisions: the endpoint's protocol; default: found out with the first request"
    )
    reading: Reading = Field(
        "auto",
        description="openai: how a label comes: in free text with log-probabilities, held to the words by vLLM's "
        "structured_outputs, held to a JSON schema; auto tries them in this order",
    )
    min_label_mass: float = Field(
        0.001,
        ge=0,
        le=1,
        description="torch, vllm, openai, decisions: with less of the distribution on the labels a criterion is unscored",
    )
    api_key_file: Path | None = Field(None, description="openai, decisions: a file with the key in its first line")
    fence_key_file: Path | None = Field(
        None,
        description="a file with the secret of the reports' fences, the same on all replicas; made where it is "
        "missing; default: one in your state folder",
    )
    bars: bool = Field(False, description="progress bars of the libraries that load a model, on standard error")
    calibration: Path | None = Field(None, description="a file of judger calibrate, instead of the engine's own")


class ServeConfig(EngineConfig):
    """The server around the engine."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(50051, ge=0, le=65535, description="0 takes a free one")
    http_port: int | None = Field(None, ge=0, le=65535, description="the same in JSON over HTTP; none: not served")
    unscored: float | None = Field(
        None, allow_inf_nan=False, description="what a bare-number HTTP route says where there is no reward; none: 422"
    )
    keep_reasoning: bool = Field(False, description="judge <think>...</think> of HTTP's reward routes, too")
    metrics_port: int | None = Field(None, ge=0, le=65535, description="Prometheus metrics; none: not served")
    grace: float = Field(30.0, ge=0, description="seconds that running work gets to finish after SIGTERM")
    stream_in_flight: int = Field(64, ge=1, description="requests of one JudgeStream call judged at a time")
    cache: Path | None = Field(None, description="a file that keeps verdicts, so that none is judged twice")
    cache_mb: int = Field(1024, ge=1, description="megabytes that this file may take")
    cache_redis: str | None = Field(None, description="a Redis that several servers share: redis://HOST:PORT")
    cache_memory_mb: int = Field(64, ge=0, description="megabytes of verdicts kept in memory; 0 keeps none")
    max_queued_tokens: int = Field(4_000_000, ge=1, description="a lane's tokens in the queue; more are refused")
    lane_weights: tuple[Weight, Weight, Weight] = Field(
        (6.0, 3.0, 1.0), description="shares of training, evaluation and bulk while all have work"
    )
    engine_timeout: float = Field(600.0, gt=0, description="seconds after which a batch that still runs is given up")
    restart_backoff: float = Field(0.5, gt=0, description="seconds before a dead engine's first restart; then doubled")
    log_texts: bool = Field(False, description="queries, reports and criteria in the log, too")
    otlp: str | None = Field(None, description="OpenTelemetry collector for traces, such as http://localhost:4317")
    tokens: Path | None = Field(None, description="a file of bearer tokens' digests; callers need one of them")
    tls_cert: Path | None = Field(None, description="PEM: the server's certificate chain")
    tls_key: Path | None = Field(None, description="PEM: its private key")
    tls_client_ca: Path | None = Field(None, description="PEM: only clients with a certificate of this CA may connect")
    allow_remote: bool = Field(False, description="listen beyond loopback without tokens or encryption")


def user_key_file(environment: Mapping[str, str]) -> Path | None:
    """Where a user's own fence key lies: in $XDG_STATE_HOME, else ~/.local/state; None without a home.

    The XDG base directory specification has a relative $XDG_STATE_HOME ignored.
    """
    state = Path(environment.get("XDG_STATE_HOME", ""))
    if not state.is_absolute():
        home = environment.get("HOME") or environment.get("USERPROFILE")
        if not home or not Path(home).is_absolute():
            return None
        state = Path(home, ".local", "state")
    return state / "checklist-judger" / "fence.key"
