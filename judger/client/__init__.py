"""The client: async first, with a thin blocking facade. Needs the core install only, and loads no model library.

    async with connect("127.0.0.1:50051") as judge:
        judgement = await judge.judge("What does it cost?", report, ["names the price", "cites a source"])

    judge = connect_blocking("127.0.0.1:50051")     # a reward function, a DataLoader worker
    judgement = judge.judge(query, report, criteria)

Every failure is a `judger.errors.JudgerError`; a criterion without a verdict is no failure but `judger.types.Unscored`.
A client opens its channel at its first call in a process and can be pickled: it carries its settings, not its channel.

Processes, threads and event loops, as tried with grpcio 1.62.3 and 1.85.1 on Linux:

- `grpc.aio` does not survive a fork. While a process has an aio channel or server open, a forked child that uses
  grpc.aio hangs or dies by a signal, whatever GRPC_ENABLE_FORK_SUPPORT says: the poller thread and its locks stay
  behind. The synchronous API in the same child works (1.85.1), even if the parent holds an aio server or has calls
  in flight in other threads. So both clients here run on the synchronous API, whose channels belong to no event loop:
  one channel a process serves any number of loops and threads. The async client bridges its futures into the running
  loop; CPU per call is that of grpc.aio.
- A child never touches what it inherited (`judger.client.channel`): closing it there could end the parent's
  connection. With grpc's global subchannel pool a child of 1.62.3 got the parent's socket ("Bad file descriptor");
  with a pool per channel it connects anew.
- With GRPC_ENABLE_FORK_SUPPORT=0 in the environment, the child of a process with an open channel hung: leave it alone.
- What does not work: under 1.62.3 a fork while calls are in flight, or while the process has grpc.aio open, can crash
  or hang the child and the parent. 1.85.1 does both well. With an old grpcio use `spawn`.
- The blocking facade runs on one background thread a process, so it may be called under a running event loop. It
  blocks that loop meanwhile: a server in the same loop would never answer; use the async client there.
"""

from __future__ import annotations

from judger.client.aio import Client
from judger.client.blocking import BlockingClient
from judger.client.cases import CriterionLike
from judger.client.settings import Settings

__all__ = ["BlockingClient", "Client", "CriterionLike", "Settings", "connect", "connect_blocking"]


def connect(
    address: str,
    *,
    token: str | None = None,
    root_certificates: bytes | None = None,
    certificate: bytes | None = None,
    private_key: bytes | None = None,
    tls: bool = False,
    timeout: float = 300.0,
    judge_id: str | None = None,
    max_attempts: int = 4,
    backoff: float = 0.5,
) -> Client:
    """An async client. Nothing is sent yet; `await client.wait_ready()` tells whether a judge answers.

    Args:
        address: `HOST:PORT`, or `unix:/PATH`.
        token: sent as `authorization: Bearer ...`.
        root_certificates: PEM, to check the server's certificate against; implies `tls`.
        certificate, private_key: PEM, this client's own, for a server that asks for one (mutual TLS); imply `tls`.
        tls: encrypt, with gRPC's own root certificates where none are given.
        timeout: seconds that a call has by default, its retries included.
        judge_id: a pin; another judge is refused with JudgeMismatch.
        max_attempts: how often a call is tried while no server answers. A server that is overloaded and says when to
            come back is asked again until the deadline.
        backoff: seconds before the second attempt, doubled each time, with jitter.

    Raises:
        InvalidRequest: a setting is wrong.
    """
    return Client(
        Settings(
            address=address,
            token=token,
            root_certificates=root_certificates,
            certificate=certificate,
            private_key=private_key,
            tls=tls,
            timeout=timeout,
            judge_id=judge_id,
            max_attempts=max_attempts,
            backoff=backoff,
        )
    )


def connect_blocking(
    address: str,
    *,
    token: str | None = None,
    root_certificates: bytes | None = None,
    certificate: bytes | None = None,
    private_key: bytes | None = None,
    tls: bool = False,
    timeout: float = 300.0,
    judge_id: str | None = None,
    max_attempts: int = 4,
    backoff: float = 0.5,
) -> BlockingClient:
    """A blocking client, safe to share between threads; arguments as of `connect`."""
    return BlockingClient(
        connect(
            address,
            token=token,
            root_certificates=root_certificates,
            certificate=certificate,
            private_key=private_key,
            tls=tls,
            timeout=timeout,
            judge_id=judge_id,
            max_attempts=max_attempts,
            backoff=backoff,
        )
    )
