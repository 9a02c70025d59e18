"""The settings of a judge on Ray Serve. Imports no Ray."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from judger.config import ServeConfig
from judger.flags import Flag
from judger.types import IN_FLIGHT

__all__ = ["RAY", "RAY_SETTINGS", "ClusterConfig"]

RAY = "on Ray Serve (--ray)"
NOT_ON_RAY = {
    "host": "Ray's proxies listen on every address of their nodes",
    "http_port": "Ray's proxies carry gRPC; run judger gateway beside them for HTTP",
    "origin": "Ray's proxies carry gRPC; run judger gateway beside them for HTTP",
    "unscored": "Ray's proxies carry gRPC; run judger gateway beside them for HTTP",
    "keep_reasoning": "Ray's proxies carry gRPC; run judger gateway beside them for HTTP",
    "tls_cert": "TLS is Ray's own, for the whole cluster: RAY_USE_TLS",
    "tls_key": "TLS is Ray's own, for the whole cluster: RAY_USE_TLS",
    "tls_client_ca": "TLS is Ray's own, for the whole cluster: RAY_USE_TLS",
    "cache": "a file belongs to one server; replicas share --cache-redis",
    "stream_in_flight": f"a stream is taken apart in Ray's proxies, which have {IN_FLIGHT} of its requests in flight",
}
"""Settings that mean nothing there, and why."""


class ClusterConfig(ServeConfig):
    """The server's settings, those of every replica, and how many there are. Paths are paths on every node."""

    replicas: Annotated[int, Flag(group=RAY)] = Field(
        1, ge=1, description="replicas; with --max-replicas the first ones"
    )
    min_replicas: Annotated[int | None, Flag(group=RAY)] = Field(
        None, ge=1, description="the fewest while they scale; default: --replicas"
    )
    max_replicas: Annotated[int | None, Flag(group=RAY)] = Field(
        None, ge=1, description="scale up to as many by the tokens in their queues; default: no scaling"
    )
    tokens_per_replica: Annotated[int, Flag(group=RAY)] = Field(
        200_000, ge=1, description="queued tokens of a replica that scaling aims at"
    )
    scaling_delay: Annotated[float, Flag("SECONDS", RAY)] = Field(
        30.0, ge=0, le=3600, description="for which more are wanted until they are started; fewer: 20 times that"
    )
    cpus_per_replica: Annotated[float, Flag(group=RAY)] = Field(
        1.0, ge=0, le=1024, allow_inf_nan=False, description="CPUs that Ray keeps for a replica"
    )
    gpus_per_replica: Annotated[float, Flag(group=RAY)] = Field(
        0.0, ge=0, le=1024, allow_inf_nan=False, description="GPUs of a replica, such as 0.5 or 2"
    )
    surge_percent: Annotated[int, Flag(group=RAY)] = Field(
        0, ge=0, le=100, description="replicas beyond their number that an update may start before it ends old ones"
    )
    load_bound: Annotated[float, Flag(group=RAY)] = Field(
        3.0,  # of what was simulated (tests.benchmarks.sizing) the best: nearly all is found, and no call waits longer
        ge=0,
        allow_inf_nan=False,
        description="a report goes to the replica that knows it, unless that has as many times the mean load; "
        "below 1: to any that has little to do",
    )
    ray_address: Annotated[str | None, Flag("ADDRESS", RAY)] = Field(
        None, description="a running cluster: auto, HOST:PORT or ray://; default: a new one on this machine"
    )

    @field_validator(*NOT_ON_RAY)
    @classmethod
    def _is_known_there(cls, value: object, info: ValidationInfo) -> object:
        name = info.field_name or ""
        if value != cls.model_fields[name].default:
            raise PydanticCustomError("without_effect", "{reason}", {"reason": f"not on Ray: {NOT_ON_RAY[name]}"})
        return value

    @field_validator("ray_address")
    @classmethod
    def _has_metrics(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("metrics_port") is not None:
            raise PydanticCustomError(
                "with_metrics", "goes without --metrics-port: the cluster's agents have the metrics"
            )
        return value

    @field_validator("gpus_per_replica")
    @classmethod
    def _is_a_share(cls, value: float) -> float:
        if value > 1 and value != int(value):
            raise PydanticCustomError("share", "must be a share of one GPU or a whole number of them")
        return value

    @field_validator("max_replicas")
    @classmethod
    def _has_room(cls, value: int | None, info: ValidationInfo) -> int | None:
        least = info.data.get("min_replicas") or info.data.get("replicas", 1)
        most = max(least, info.data.get("replicas", 1))
        if value is not None and value < most:
            raise PydanticCustomError("range", "must be at least {most}", {"most": most})
        return value


RAY_SETTINGS = tuple(name for name in ClusterConfig.model_fields if name not in ServeConfig.model_fields)
