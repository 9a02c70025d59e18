"""What is deployed: `import_path: judger.cluster.app:build` in a Serve config, with `args` of a `ClusterConfig`."""

# No `from __future__ import annotations`: Serve looks for the argument's class, not for its name.

import os
from typing import Any

from ray import serve
from ray.serve.config import AutoscalingConfig, AutoscalingPolicy, RequestRouterConfig

from judger.cluster.config import ClusterConfig
from judger.cluster.replica import Replica
from judger.cluster.scaling import QueuedTokens
from judger.config import FENCED, user_key_file
from judger.prompt.fence import make_user_key, open_fence_key

__all__ = ["GRPC_FUNCTIONS", "build"]

GRPC_FUNCTIONS = ["judger.cluster.ingress.add_to_server"]
ROUTER = "judger.cluster.router.AffinityRouter"
MOST_ONGOING = 1024
"""Calls of one replica; beyond it Serve tries the next. The judge itself refuses before that, and says when to come."""


def build(config: ClusterConfig) -> serve.Application:
    """The application of these settings. Raises InvalidRequest.

    Not read here: port, metrics_port and ray_address, which are the cluster's own.
    """
    deployment = serve.deployment(Replica).options(
        name="Judge",
        max_ongoing_requests=MOST_ONGOING,
        graceful_shutdown_timeout_s=config.grace,
        max_surge_percent=config.surge_percent,
        ray_actor_options={"num_cpus": config.cpus_per_replica, "num_gpus": config.gpus_per_replica},
        request_router_config=_router(config),
        **_number(config),
    )
    return deployment.bind(config.model_dump(mode="json", exclude_defaults=True), _fence_key(config))


def _router(config: ClusterConfig) -> RequestRouterConfig:
    if config.load_bound < 1:
        return RequestRouterConfig()
    return RequestRouterConfig(request_router_class=ROUTER, request_router_kwargs={"load_bound": config.load_bound})


def _number(config: ClusterConfig) -> dict[str, Any]:
    if config.max_replicas is None:
        return {"num_replicas": config.replicas}
    policy = AutoscalingPolicy(
        policy_function=QueuedTokens, policy_kwargs={"tokens_per_replica": config.tokens_per_replica}
    )
    scaling = AutoscalingConfig(
        initial_replicas=config.replicas,
        min_replicas=config.min_replicas or config.replicas,
        max_replicas=config.max_replicas,
        upscale_delay_s=config.scaling_delay,
        downscale_delay_s=20 * config.scaling_delay,
        policy=policy,
    )
    return {"autoscaling_config": scaling}


def _fence_key(config: ClusterConfig) -> bytes | None:
    """One for all replicas, read here alone: their nodes need not have the file."""
    if config.engine not in FENCED:
        return None
    path = config.fence_key_file or make_user_key(user_key_file(os.environ))
    return open_fence_key(path).secret
