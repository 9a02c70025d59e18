"""What trainers do with processes, each as a program of its own: PROGRAM ADDRESS. Prints OK where it worked.

Programs and not test functions, so that a fork copies a trainer and not pytest with its server inside.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import multiprocessing
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any

import grpc

from judger.client import BlockingClient, Client, connect, connect_blocking

CHILD_SECONDS = 120


def ask(client: BlockingClient) -> float:
    """A reward that only a working client gives."""
    value = client.judge("", "an apple", ["[[fully]]", {"text": "[[not]]", "weight": -1.0}]).reward.value
    group = client.judge_group_all("", ["a", "b"], ["[[fully]]"])
    assert [judgement.reward.value for judgement in group] == [1.0, 1.0]
    assert value is not None
    return value


async def ask_async(client: Client) -> float:
    """The same in an event loop."""
    value = (await client.judge("", "an apple", ["[[fully]]"])).reward.value
    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(client.judge("", "an apple", ["[[fully]]"]))
    assert value is not None
    return value


def in_forked_child(work: Callable[[], Any]) -> None:
    """Runs the work in a fork of this process as it is, and waits for it."""
    status = forked(work)
    assert status == 0, f"the child ended with {status}"


def forked(work: Callable[[], Any]) -> int:
    """The same; the exit code, negative for the signal that killed it."""
    child = os.fork()
    if child == 0:
        signal.alarm(CHILD_SECONDS)
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def fork_after_use(address: str) -> None:
    """Both clients, used before the fork, work in the child, in its child, and go on working in the parent."""
    blocking, client = connect_blocking(address), connect(address)
    ask(blocking)
    asyncio.run(ask_async(client))

    def child() -> None:
        assert ask(blocking) == 1.0
        assert asyncio.run(ask_async(client)) == 1.0
        in_forked_child(lambda: ask(blocking))
        assert ask(connect_blocking(address)) == 1.0

    for _ in range(3):
        in_forked_child(child)
        assert ask(blocking) == 1.0
        assert asyncio.run(ask_async(client)) == 1.0


def fork_under_load(address: str) -> None:
    """Forks while other threads have calls in flight: theirs come back after each, and the child's too.

    Where another thread is inside gRPC in that very moment, gRPC skips its fork handlers ("Other threads are currently
    calling into gRPC") and may end the child by a check of its own. That is for whoever forks to see: no child hangs.
    """
    client = connect_blocking(address)
    ask(client)
    stop, calls = threading.Event(), [0, 0, 0]

    def load(number: int) -> None:
        while not stop.is_set():
            ask(client)
            calls[number] += 1

    threads = [threading.Thread(target=load, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    try:
        good = 0
        for _ in range(24):
            status = forked(lambda: ask(client))
            assert status in (0, -signal.SIGABRT), f"the child ended with {status}"
            good += status == 0
            before = list(calls)
            while any(now == then for now, then in zip(calls, before, strict=True)):
                ask(client)
            if good == 3:
                break
        assert good == 3, "gRPC ended most children"
    finally:  # else a failure is only seen as a program that doesn't end
        stop.set()
    for thread in threads:
        thread.join()


def fork_beside_aio(address: str) -> None:
    """The parent holds an open grpc.aio channel of someone else's, in which state grpc.aio itself fails in a child."""

    async def use() -> grpc.aio.Channel:
        channel = grpc.aio.insecure_channel(address)
        await channel.channel_ready()
        return channel

    loop = asyncio.new_event_loop()
    channel = loop.run_until_complete(use())
    client = connect(address)
    in_forked_child(lambda: asyncio.run(ask_async(client)))
    loop.run_until_complete(channel.close())
    loop.close()


def closed_in_the_child(address: str) -> None:
    """What a child closes is its own."""
    client = connect_blocking(address)
    ask(client)
    in_forked_child(client.close)

    def use_and_close() -> None:
        ask(client)
        client.close()

    in_forked_child(use_and_close)
    assert ask(client) == 1.0


def pools(address: str) -> None:
    """multiprocessing's pools, forked after use and spawned, with a pickled client."""
    client = connect_blocking(address)
    ask(client)
    for method in ("fork", "spawn", "forkserver"):
        context = multiprocessing.get_context(method)
        with concurrent.futures.ProcessPoolExecutor(3, mp_context=context) as pool:
            assert list(pool.map(ask, [client] * 6)) == [1.0] * 6


def under_a_running_loop(address: str) -> None:
    """The blocking facade inside a coroutine, as a trainer calls its reward functions."""
    client = connect_blocking(address)

    async def trainer() -> float:
        return ask(client)

    assert asyncio.run(trainer()) == 1.0
    assert asyncio.run(trainer()) == 1.0


def loader(address: str) -> None:
    """torch's DataLoader, its workers forked and spawned, after the client was used in the parent."""
    import torch.utils.data

    warnings.filterwarnings("ignore", "This DataLoader will create")  # two workers, where there is one core
    dataset = Rewards(connect_blocking(address))
    assert dataset[0] == 1.0
    for method, num_workers in (("fork", 2), ("spawn", 1)):  # a spawned worker imports torch anew, for seconds
        loaded = torch.utils.data.DataLoader(
            dataset,  # type: ignore[arg-type]  # anything with its two methods
            batch_size=None,
            num_workers=num_workers,
            multiprocessing_context=method,
            timeout=CHILD_SECONDS,
        )
        assert list(loaded) == [1.0] * 6
        assert dataset[0] == 1.0


class Rewards:
    """A map-style dataset whose items are rewards."""

    def __init__(self, client: BlockingClient) -> None:
        self.client = client

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> float:
        return ask(self.client)


def left_open(address: str) -> None:
    """A process that forgets to close anything ends by itself, in the middle of a group."""
    client = connect_blocking(address)
    next(client.judge_group("", ["a", "b", "c"], ["x"]))
    asyncio.run(ask_async(connect(address)))


if __name__ == "__main__":
    {
        program.__name__: program
        for program in (
            fork_after_use,
            fork_under_load,
            fork_beside_aio,
            closed_in_the_child,
            pools,
            under_a_running_loop,
            loader,
            left_open,
        )
    }[sys.argv[1]](sys.argv[2])
    print("OK", flush=True)
