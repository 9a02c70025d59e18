"""The client: async first, with a thin blocking facade. Needs the core install only, and loads no model library.

    async with connect("127.0.0.1:50051") as judge:
        judgement = await judge.judge("What does it cost?", report, ["names the price", "cites a source"])

    judge = connect_blocking("127.0.0.1:50051")     # a reward function, a DataLoader worker
    values = rewards(judge.judge_many(zip(queries, reports, rubrics)))

Every failure is a `judger.errors.JudgerError`; a criterion without a verdict is no failure but `judger.types.Unscored`.
Of several items each has its own answer, the Judgement or the error that refused it: none takes the others with it.
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
  or hang the child and the parent. With an old grpcio use `spawn`. 1.85 does both, but for the very moment in which
  another thread enters gRPC: then it skips its fork handlers, and the child may be aborted by a check of gRPC's own at
  its first call (in 10 of 258 runs of three forks with three threads at calls on two busy cores). The parent's calls
  come back: they did in 60 runs more, in which two children were aborted. To keep calls from beginning while a process
  forks did not help.
- The async client needs asyncio (uvloop is fine). Under trio it raises Unsupported: use the blocking one in a thread.
- The blocking facade runs on one background thread a process, so it may be called under a running event loop. It
  blocks that loop meanwhile: a server in the same loop would never answer; use the async client there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TypedDict, Unpack

from judger.client.aio import CallKeywords, Client, NamedCallKeywords
from judger.client.answers import rewards
from judger.client.blocking import BlockingClient
from judger.client.cases import CaseLike, OptionKeywords, make_case
from judger.client.info import JudgeInfo
from judger.client.settings import Settings, settings_from_env
from judger.given import CriterionLike, RubricLike, make_criteria
from judger.pairwise import Comparison, Preference
from judger.types import Case, Criterion, Judgement, Options

__all__ = [
    "BlockingClient",
    "CallKeywords",
    "Case",
    "CaseLike",
    "Client",
    "Comparison",
    "ConnectKeywords",
    "Criterion",
    "CriterionLike",
    "JudgeInfo",
    "Judgement",
    "NamedCallKeywords",
    "OptionKeywords",
    "Options",
    "Preference",
    "RubricLike",
    "Settings",
    "connect",
    "connect_blocking",
    "connect_blocking_from_env",
    "connect_from_env",
    "make_case",
    "make_criteria",
    "rewards",
]


class ConnectKeywords(TypedDict, total=False):
    """The keywords of `connect`."""

    token: str | None
    root_certificates: bytes | None
    certificate: bytes | None
    private_key: bytes | None
    tls: bool
    allow_insecure_token: bool
    timeout: float
    patience: float
    judge_id: str | None
    max_attempts: int
    backoff: float


def connect(address: str, **settings: Unpack[ConnectKeywords]) -> Client:
    """An async client. Nothing is sent yet; `await client.wait_ready()` tells whether a judge answers.

    Args:
        address: `HOST:PORT`, or `unix:/PATH`.
        token: sent as `authorization: Bearer ...`; blanks and line ends around it are taken off.
        root_certificates: PEM, to check the server's certificate against; implies `tls`.
        certificate, private_key: PEM, this client's own, for a server that asks for one (mutual TLS); imply `tls`.
        tls: encrypt, with gRPC's own root certificates where none are given.
        allow_insecure_token: send the token without TLS to another machine, where the network itself is trusted.
        timeout: seconds that a call has by default, its retries included; 300.
        patience: seconds that a call goes on asking, beyond its timeout, while no judge answers: it restarts, or the
            machine is away. Each attempt has the whole timeout anew. 0: `max_attempts` decides.
        judge_id: a pin; another judge is refused with JudgeMismatch.
        max_attempts: how often a call is tried while no server answers; 4. A server that says when to come back (it is
            overloaded, it loads its engine) is asked again until the deadline.
        backoff: seconds before the second attempt, doubled each time, with jitter; 0.5.

    Raises:
        InvalidRequest: a setting is wrong.
    """
    return Client(Settings(address=address, **settings))


def connect_blocking(address: str, **settings: Unpack[ConnectKeywords]) -> BlockingClient:
    """A blocking client, safe to share between threads; arguments as of `connect`."""
    return BlockingClient(connect(address, **settings))


def connect_from_env(
    *, address: str | None = None, environ: Mapping[str, str] | None = None, **settings: Unpack[ConnectKeywords]
) -> Client:
    """`connect` with the settings of the environment, for libraries whose reward functions take no configuration.

    JUDGER_ADDRESS, JUDGER_TOKEN (or JUDGER_TOKEN_FILE), JUDGER_ROOT_CERTIFICATES_FILE, JUDGER_CERTIFICATE_FILE,
    JUDGER_PRIVATE_KEY_FILE, JUDGER_TLS, JUDGER_ALLOW_INSECURE_TOKEN, JUDGER_TIMEOUT, JUDGER_PATIENCE, JUDGER_JUDGE_ID,
    JUDGER_MAX_ATTEMPTS, JUDGER_BACKOFF. What is given here counts before them. Raises InvalidRequest.
    """
    given = dict(settings) if address is None else {"address": address, **settings}
    return Client(settings_from_env(os.environ if environ is None else environ, given))


def connect_blocking_from_env(
    *, address: str | None = None, environ: Mapping[str, str] | None = None, **settings: Unpack[ConnectKeywords]
) -> BlockingClient:
    """A blocking client, as of `connect_from_env`."""
    return BlockingClient(connect_from_env(address=address, environ=environ, **settings))
