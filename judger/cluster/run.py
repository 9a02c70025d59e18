"""`judger serve --ray`: Ray Serve with the judge on it, until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import threading
from collections.abc import Callable
from typing import Any

from judger.cluster.config import ClusterConfig
from judger.cluster.hop import APPLICATION
from judger.errors import EngineError, InvalidRequest
from judger.server.process import ENDING
from judger.types import LIMITS

__all__ = ["ENVIRONMENT", "check_ray", "serve_on_ray"]

logger = logging.getLogger(__name__)

ENVIRONMENT = {
    "RAY_SERVE_GRPC_MAX_MESSAGE_SIZE": str(LIMITS.message_bytes),  # of the proxies; else 2 GiB
    "RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH": str(LIMITS.message_bytes),  # where they ask by gRPC; else 4 MiB
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",  # else a proxy is killed that takes 5 s to start, and the next one
    # Else a proxy and replicas that share a busy core never hear of each other in time, and no call goes anywhere.
    "RAY_SERVE_MAX_QUEUE_LENGTH_RESPONSE_DEADLINE_S": "10",
}
"""What every node of a cluster should have in its environment, before Ray starts there."""
OBJECT_STORE_BYTES = 512 * 2**20
"""Of a cluster that is started here: large requests pass through it, and stay for as long as they are judged."""


def check_ray(config: ClusterConfig) -> None:
    """Raises InvalidRequest where it can't be served there."""
    try:
        import ray.serve  # noqa: F401
    except ModuleNotFoundError as error:
        raise InvalidRequest("ray", f"{error.name} is not installed: pip install 'checklist-judger[ray]'") from error
    if not config.allow_remote:
        reason = "Ray's proxies listen on every address of this machine; say with --allow-remote that it is meant"
        raise InvalidRequest("ray", reason)


async def serve_on_ray(config: ClusterConfig, *, on_ready: Callable[[str, int], None] | None = None) -> None:
    """Serves until SIGTERM or SIGINT.

    A cluster that was there before goes on, without the judge.

    Args:
        on_ready: told of the judge_id and the port.

    Raises:
        InvalidRequest: a setting is wrong.
        EngineError: no replica has come up.
    """
    check_ray(config)
    stop, deployed = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    try:
        judge_id = await asyncio.to_thread(_start, config, deployed)
        for signal_number in ENDING:
            loop.add_signal_handler(signal_number, stop.set)
        if on_ready is not None:
            on_ready(judge_id, config.port)
        await stop.wait()
        logger.info("stopping: running work has %.0f s to finish", config.grace)
    finally:
        await asyncio.to_thread(_stop, config, deployed)


def _start(config: ClusterConfig, deployed: threading.Event) -> str:
    import ray
    from ray import serve
    from ray.exceptions import RayError

    from judger.cluster.app import GRPC_FUNCTIONS, build

    here: dict[str, Any] = {"address": config.ray_address}
    if config.ray_address is None:
        replicas = config.max_replicas or config.replicas
        os.environ.update({name: value for name, value in ENVIRONMENT.items() if name not in os.environ})
        here = {
            "address": "local",  # and none that the environment names
            "num_cpus": max(os.cpu_count() or 1, math.ceil(replicas * config.cpus_per_replica) + 1),
            "object_store_memory": OBJECT_STORE_BYTES,
            "include_dashboard": False,
            "_metrics_export_port": config.metrics_port,
        }
    application = build(config)
    try:
        ray.init(log_to_driver=False, logging_level=logging.WARNING, **here)
        _check_ingress(config)
        serve.start(
            grpc_options={"port": config.port, "grpc_servicer_functions": GRPC_FUNCTIONS},
            http_options={"host": "127.0.0.1", "port": 0},
        )
        deployed.set()
        handle = serve.run(application, name=APPLICATION)  # with no route gRPC would find none, either
        return str(handle.judge_id.remote().result(timeout_s=60))
    except (RuntimeError, ConnectionError, TimeoutError, RayError) as error:
        raise EngineError(f"Ray Serve has not started the judge: {error}") from error


def _check_ingress(config: ClusterConfig) -> None:
    """Raises InvalidRequest where Serve runs already, and its proxies don't know the contract: they learn no other."""
    import ray
    from ray.serve.context import _get_global_client

    from judger.cluster.app import GRPC_FUNCTIONS

    client = _get_global_client(raise_if_no_controller_running=False)
    if client is None:
        return
    options = ray.get(client._controller.get_grpc_config.remote(), timeout=60)
    if options.port != config.port or not set(GRPC_FUNCTIONS) <= set(options.grpc_servicer_functions):
        reason = (
            f"Serve runs on this cluster with gRPC on port {options.port} and {options.grpc_servicer_functions}; it "
            f"takes no others until it is ended (serve shutdown): port {config.port} and {GRPC_FUNCTIONS} are needed"
        )
        raise InvalidRequest("ray_address", reason)


def _stop(config: ClusterConfig, deployed: threading.Event) -> None:
    import ray
    from ray import serve

    if ray.is_initialized():
        if deployed.is_set():  # else what is there is somebody else's
            serve.delete(APPLICATION)
        if config.ray_address is None:
            serve.shutdown()
        ray.shutdown()
