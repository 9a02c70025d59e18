"""One Ray on this machine for all of these tests, which deploy on it what they need.

Where Ray is not installed, each of them is skipped by name and left to `make test-ray`.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
HAS_RAY = importlib.util.find_spec("ray") is not None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.ray)
            if not HAS_RAY:
                item.add_marker(pytest.mark.skip(reason="left to make test-ray"))


@dataclass(frozen=True)
class Cluster:
    """Ray Serve on this machine."""

    address: str
    """Of the judge."""
    ray_address: str
    metrics_port: int

    async def deploy(self, **settings: Any) -> str:
        """Serves the scripted engine, or what the settings say, in place of what was there. The judge_id."""
        return await asyncio.to_thread(self._deploy, settings)

    async def remove(self) -> None:
        """Nobody judges any more."""
        from ray import serve

        await asyncio.to_thread(serve.delete, "judger")

    def _deploy(self, settings: dict[str, Any]) -> str:
        from ray import serve

        from judger.cluster.app import build
        from judger.cluster.config import ClusterConfig

        config = ClusterConfig(**{"engine": "scripted", "cpus_per_replica": 0.1, "grace": 5.0} | settings)
        handle = serve.run(build(config), name="judger")
        return str(handle.judge_id.remote().result(timeout_s=60))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    import ray
    from ray import serve

    from judger.cluster.app import GRPC_FUNCTIONS
    from judger.cluster.run import MESSAGE_SIZES

    port = free_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(HERE.parents[1]), prepend=os.pathsep)
        for name, value in MESSAGE_SIZES.items():
            patch.setenv(name, value)
        metrics_port = free_port()
        ray.init(
            address="local",
            num_cpus=8,
            object_store_memory=200 * 2**20,
            include_dashboard=False,
            log_to_driver=False,
            _metrics_export_port=metrics_port,
        )
        try:
            serve.start(
                grpc_options={"port": port, "grpc_servicer_functions": GRPC_FUNCTIONS},
                http_options={"host": "127.0.0.1", "port": 0},
            )
            yield Cluster(f"127.0.0.1:{port}", ray.get_runtime_context().gcs_address, metrics_port)
        finally:
            serve.shutdown()
            ray.shutdown()
