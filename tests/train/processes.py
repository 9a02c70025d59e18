"""A function run in two processes that find each other over gloo, as `accelerate launch` would start them on GPUs.

The processes are forked from a server that has imported the libraries once: importing takes longer than what is tested.
Accelerate shards on accelerators alone, though PyTorch's FSDP2 does on CPUs; `sharded` processes therefore call
the CPU by the name of another kind of device, and all after that is what it is anywhere else.
"""

from __future__ import annotations

import multiprocessing
import os
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from typing import Any

import pytest

from tests.ports import free_port

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.train.preload"])
_FSDP = {
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_RESHARD_AFTER_FORWARD": "true",
    "FSDP_STATE_DICT_TYPE": "SHARDED_STATE_DICT",
    "FSDP_CPU_RAM_EFFICIENT_LOADING": "true",
}  # as fsdp2.yaml says it


def together(function: Callable[..., Any], *args: Any, sharded: bool = False, seconds: float = 600.0) -> list[Any]:
    """What `function(*args)` returns in each of two processes. It must be a module's own, as must be what it returns.

    Fails, and leaves no process behind, where one raises or they do not end in time, as in a deadlock.
    """
    port = free_port()
    pairs = [_FORKS.Pipe(duplex=False) for _ in range(2)]
    processes = [
        _FORKS.Process(target=_run, args=(rank, port, sharded, pairs[rank][1], function, args)) for rank in range(2)
    ]
    for process in processes:
        process.start()
    for _, end in pairs:
        end.close()
    found: dict[int, Any] = {}
    until = time.monotonic() + seconds
    try:
        while len(found) < 2 and (left := until - time.monotonic()) > 0:
            for ready in wait([pairs[rank][0] for rank in range(2) if rank not in found], left):
                rank = next(rank for rank in range(2) if pairs[rank][0] is ready)
                try:
                    found[rank] = ready.recv()
                except EOFError:
                    pytest.fail(f"process {rank} died: exit code {processes[rank].exitcode}")
                if found[rank][0]:
                    pytest.fail(f"process {rank}:\n{found[rank][0]}")
        if len(found) < 2:
            pytest.fail(f"after {seconds:g} s processes {sorted({0, 1} - set(found))} still wait")
        for process in processes:
            process.join(10)
    finally:
        for process in processes:
            if process.is_alive():
                process.kill()
            process.join()
    return [found[rank][1] for rank in range(2)]


def _run(rank: int, port: int, sharded: bool, end: Connection, function: Callable[..., Any], args: Any) -> None:
    os.environ.update(
        RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2", LOCAL_WORLD_SIZE="2", MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port), ACCELERATE_USE_CPU="true", **(_FSDP if sharded else {}),
    )  # fmt: skip
    os.nice(5)
    import torch

    torch.set_num_threads(1)
    if sharded:
        _shard_on_cpu()
    try:
        end.send(("", function(*args)))
    except BaseException:  # noqa: BLE001 - told to the test, whatever it is
        end.send((traceback.format_exc(), None))
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def _shard_on_cpu() -> None:
    from accelerate.state import DistributedType, PartialState

    begin = PartialState.__init__

    def begin_as_another(self: Any, *args: Any, **options: Any) -> None:
        begin(self, *args, **options)
        if self.distributed_type == DistributedType.MULTI_CPU:
            PartialState._shared_state["distributed_type"] = DistributedType.MULTI_XPU
            self.distributed_type = DistributedType.MULTI_XPU

    PartialState.__init__ = begin_as_another
