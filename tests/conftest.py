"""A real server on a loopback port, for whatever needs one."""

from __future__ import annotations

import logging
import signal
from collections.abc import AsyncIterator, Iterator

import pytest

from judger.config import ServeConfig
from judger.engines.scripted import ScriptedEngine
from judger.server.process import Running, running
from tests.ports import free_port

try:
    from hypothesis import HealthCheck, settings
except ModuleNotFoundError:  # in the virtual environments of other frameworks, which need none
    pass
else:
    # On a crowded machine an example may take any time: a deadline would fail a test for its neighbours.
    settings.register_profile("crowded", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("crowded")

SERVE = ServeConfig(engine="scripted", port=0, grace=5.0)

# A shell starts its background jobs with Ctrl-C ignored, and every process below them inherits that: a command under
# test would not be interrupted. A handler of ours is not inherited; children begin with the default.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def state_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A state folder of this run's own, for commands in this process and below it: the user's is none of its affair."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(autouse=True)
def loggers() -> Iterator[None]:
    """Each test leaves the loggers as it found them: a command that runs in this process sets level and handlers."""
    ours = [logging.getLogger(), logging.getLogger("judger")]
    before = [(logger, logger.level, list(logger.handlers)) for logger in ours]
    yield
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers


@pytest.fixture
async def scripted_server() -> AsyncIterator[Running]:
    """A server with the scripted engine, on the test's own event loop."""
    async with running(SERVE, ScriptedEngine()) as server:
        yield server


@pytest.fixture
def unused_address() -> str:
    """Where nobody listens."""
    return f"127.0.0.1:{free_port()}"
