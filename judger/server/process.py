"""The process around the service: gRPC server, health, reflection, metrics, signals.

Health is NOT_SERVING until a warm-up verdict has succeeded, while a dead engine is restarted, and from the first
SIGTERM or SIGINT on.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import grpc
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health import SERVICE_NAME as HEALTH_NAME
from grpc_reflection.v1alpha import reflection

from judger.cache.redis import CacheRedis, check_redis
from judger.cache.sqlite import CacheFile
from judger.cache.verdicts import VerdictCache
from judger.config import ServeConfig
from judger.engines import build_engine
from judger.engines.base import Engine, SelfBatching
from judger.errors import EngineError
from judger.judge import Judge
from judger.observe.metrics import Metrics
from judger.observe.requestlog import RequestLog
from judger.observe.tracing import build_tracing, check_tracing
from judger.schedule.admission import Admission
from judger.schedule.device import run_in_daemon
from judger.server.callers import TokenFile
from judger.server.exposure import Gate, check_exposure, server_credentials
from judger.server.handlers import SERVICE, handlers
from judger.server.health import Health
from judger.server.listen import bind_fault
from judger.server.rpcs import JudgerService
from judger.server.scrape import serving_metrics
from judger.server.signals import ending_at_once
from judger.server.web import check_http, open_doors
from judger.types import LIMITS, Lane

if TYPE_CHECKING:
    from judger.http.process import Listening

logger = logging.getLogger(__name__)
OPTIONS = (
    ("grpc.max_receive_message_length", LIMITS.message_bytes),
    ("grpc.max_send_message_length", LIMITS.message_bytes),
    ("grpc.server_handshake_timeout_ms", 20_000),  # TLS, and the first words of HTTP/2; by default two minutes
    ("grpc.so_reuseport", 0),  # a second server on the port fails instead of taking half of the calls
)
ENDING = (signal.SIGTERM, signal.SIGINT)
LAST_WORDS = 1.0
"""Seconds for answers and refusals to be written before the connections are closed."""
PATIENCE = 10.0
"""Seconds that anything else may take at the end; then the process ends without it."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server that serves: its address for clients, and the judge inside."""

    address: str
    judge: Judge
    metrics: Metrics
    tokens: TokenFile | None = None
    http_address: str | None = None
    """Of its HTTP doors, where it has them."""


@asynccontextmanager
async def running(config: ServeConfig, engine: Engine | SelfBatching | None = None) -> AsyncIterator[Running]:
    """Starts a server, warms it up, and ends it when the block is left: within `config.grace` seconds.

    Args:
        engine: judges instead of the one that `config` names; owned by the server from here on.

    Raises:
        InvalidRequest: a setting is wrong, the port is taken.
        EngineError: the engine could not be loaded, gave no warm-up verdict, or the judge has died of a fault of ours,
            which ends the block.
    """
    check_exposure(config, loopback=is_loopback(config.host))
    check_tracing(config.otlp)
    check_redis(config.cache_redis)
    credentials = server_credentials(config)
    check_http(config)
    tokens = TokenFile(config.tokens) if config.tokens is not None else None
    gate = [Gate(tokens)] if tokens is not None else []
    judge = await asyncio.get_running_loop().run_in_executor(None, assemble, config, engine)
    metrics = Metrics(judge)
    tracing = build_tracing(config.otlp, judge.judge_id)
    server = grpc.aio.server(interceptors=[*tracing.interceptors, *gate], options=OPTIONS)
    log = RequestLog(judge.judge_id, tracing, with_texts=config.log_texts)
    service = JudgerService(judge, metrics, log, stream_in_flight=config.stream_in_flight)
    server.add_generic_rpc_handlers((handlers(service),))
    health = Health(SERVICE)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    reflection.enable_server_reflection((SERVICE, HEALTH_NAME, reflection.SERVICE_NAME), server)
    host = f"[{config.host}]" if ":" in config.host else config.host
    doors: Listening | None = None
    try:
        try:
            address = f"{host}:{config.port}"
            port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
        except RuntimeError as error:
            raise bind_fault(config.host, config.port) from error
        await health.report(False)
        await server.start()
        doors = open_doors(config, service, tokens, health)
        await judge.warm_up()
        await health.report(True)
        reports: set[asyncio.Task[None]] = set()  # the loop itself keeps only weak references

        def on_change(up: bool) -> None:
            reports.add(task := asyncio.ensure_future(health.report(up)))
            task.add_done_callback(reports.discard)

        judge.work.keeper.on_change = on_change
        with ended_by_death(judge):
            yield Running(f"{host}:{port}", judge, metrics, tokens, doors.address if doors is not None else None)
    finally:
        await health.enter_graceful_shutdown()
        service.leave()
        if not await judge.drain(config.grace):
            logger.warning("%d cases are not done after %.0f s of grace", judge.num_in_flight, config.grace)
        await judge.close()
        if service.end_streams():  # a socket closed on a writer in full flow takes the last answer with it
            await asyncio.sleep(LAST_WORDS)
        if doors is not None:
            await doors.stop(LAST_WORDS)
        stopping = asyncio.ensure_future(server.stop(LAST_WORDS))
        await asyncio.wait([stopping], timeout=PATIENCE)
        try:
            async with asyncio.timeout(PATIENCE):
                await run_in_daemon(tracing.close)
        except TimeoutError:
            logger.warning("the last spans could not be sent within %.0f s", PATIENCE)


@contextmanager
def ended_by_death(judge: Judge) -> Iterator[None]:
    """The block ends with EngineError when the judge dies: a server without one has nothing to say."""
    owner, causes = asyncio.current_task(), list[BaseException]()

    def on_death(error: BaseException) -> None:
        causes.append(error)
        judge.work.keeper.on_change(False)
        if owner is not None:
            owner.cancel()

    judge.work.on_death = on_death
    try:
        yield
    except asyncio.CancelledError:
        if not causes:
            raise
    finally:
        judge.work.on_death = lambda error: None
    if causes:
        if owner is not None and owner.uncancel():  # somebody else ends it, too
            raise asyncio.CancelledError
        raise EngineError(f"the judge has died of a fault of its own: {causes[0]!r}") from causes[0]


def assemble(config: ServeConfig, engine: Engine | SelfBatching | None = None) -> Judge:
    """The judge that the configuration describes. Blocking: seconds to minutes. Raises InvalidRequest, EngineError."""
    calibration = None
    if config.calibration is not None:
        from judger.engines.calibration_file import check_fit, load_calibration

        calibration = load_calibration(config.calibration)
    file = CacheFile(config.cache, config.cache_mb * 2**20) if config.cache is not None else None
    shared = CacheRedis(config.cache_redis) if config.cache_redis is not None else None
    memory = config.cache_memory_mb * 2**20
    weights = dict(zip(Lane, config.lane_weights, strict=True))
    # An engine that was handed in can't be made again; it may recover.
    rebuild = partial(build_engine, config) if engine is None else None
    engine = engine or build_engine(config)
    if calibration is not None:
        check_fit(calibration, engine.identity.model_id)
    return Judge(
        engine,
        calibration=calibration,
        cache=partial(VerdictCache, memory_bytes=memory, file=file, shared=shared)
        if memory or file or shared
        else None,
        admission=Admission(config.max_queued_tokens, weights=weights, batch_tokens=config.max_batch_tokens),
        rebuild=rebuild,
        max_batch_tokens=config.max_batch_tokens,
        max_wait=config.max_wait,
        engine_timeout=config.engine_timeout,
        backoff=config.restart_backoff,
    )


def is_loopback(host: str) -> bool:
    """True for addresses that only this machine reaches."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def serve(config: ServeConfig, *, on_ready: Callable[[Running], None] | None = None) -> None:
    """Serves until SIGTERM or SIGINT, then lets running work finish within the grace period.

    Either signal ends the process at once, with exit code 0, while the engine is still loaded.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        with ending_at_once(dict.fromkeys(ENDING, 0)):
            server = await stack.enter_async_context(running(config))
        for signal_number in ENDING:
            loop.add_signal_handler(signal_number, stop.set)
        with serving_metrics(config, server.metrics, server.tokens):
            if on_ready is not None:
                on_ready(server)
            await stop.wait()
            logger.info("stopping: running work has %.0f s to finish", config.grace)
