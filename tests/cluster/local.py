"""Ray on this machine, with Serve, as tests and benchmarks start it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_port

ROOT = Path(__file__).parents[2]


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


@contextmanager
def started(num_cpus: int = 8, *, redis: str | None = None) -> Iterator[Cluster]:
    """A cluster of its own, without an application; `redis`: where its head keeps what it knows."""
    import ray
    from ray import serve

    from judger.cluster.app import GRPC_FUNCTIONS
    from judger.cluster.run import ENVIRONMENT

    port = free_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        if redis is not None:
            patch.setenv("RAY_REDIS_ADDRESS", redis)
        metrics_port = free_port()
        ray.init(
            address="local",
            num_cpus=num_cpus,
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


def replicas() -> dict[int, str]:
    """The processes of the replicas."""
    return processes("ray::ServeReplica:judger:")


def processes(begins: str) -> dict[int, str]:
    """Those below this one whose title begins so, by their ids."""
    found, parents = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status = (folder / "status").read_text()
            title = (folder / "cmdline").read_bytes().decode(errors="replace").strip("\0 ")
        except OSError:
            continue  # it has just ended
        parents[int(folder.name)] = int(status.split("PPid:")[1].split()[0])
        if title.startswith(begins):
            found[int(folder.name)] = title
    return {pid: title for pid, title in found.items() if is_below(pid, os.getpid(), parents)}


def is_below(pid: int, ancestor: int, parents: dict[int, int]) -> bool:
    while pid in parents:
        if pid == ancestor:
            return True
        pid = parents[pid]
    return False
