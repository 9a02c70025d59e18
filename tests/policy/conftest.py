"""A whole agent in a temporary folder, on a script."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from policy.agent import Agent
from policy.config import AgentConfig
from policy.episode import Episode
from policy.events import Event, Started
from policy.models.scripted import ScriptedModel
from policy.tools.base import Toolbox, tool
from policy.tools.file import FileTool
from policy.tools.todo import Todo
from policy.workspace.files import Workspace


@dataclass
class Bench:
    """An agent, its script, and what it did."""

    model: ScriptedModel
    tools: Toolbox
    workspace: Workspace
    todo: Todo
    config: AgentConfig
    events: list[Event] = field(default_factory=list)
    listeners: list[Callable[[Event], None]] = field(default_factory=list)

    def agent(self, model: Any = None) -> Agent:
        return Agent(
            model or self.model,
            self.tools,
            self.workspace,
            self.config,
            plan=lambda: str(self.todo),
            on_event=self._tell,
        )

    def _tell(self, event: Event) -> None:
        self.events.append(event)
        for listener in self.listeners:
            listener(event)

    def started(self, query: str = "How does the mill work?") -> Episode:
        episode = Episode()
        event = Started(id="e1", query=query, system="Be brief.", model="scripted", tools=self.tools.schemas)
        episode.apply(event)
        self._tell(event)
        return episode

    async def run(self, query: str = "How does the mill work?") -> Episode:
        return await self.agent().run(self.started(query))


@pytest.fixture
def bench(tmp_path: Path) -> Callable[..., Bench]:
    """`bench(steps, tools=..., **config)`: an agent with `file`, `todo` and the given functions as tools."""

    def make(steps: Sequence[Any], *functions: Callable[..., Any], **config: Any) -> Bench:
        workspace, todo = Workspace(tmp_path / "workspace"), Todo()
        tools = Toolbox([tool(function) for function in (FileTool(workspace).file, todo.todo, *functions)])
        return Bench(ScriptedModel(steps), tools, workspace, todo, AgentConfig.model_validate(config))

    return make


@dataclass(frozen=True)
class Request:
    """What a loopback server was asked."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Loopback:
    """A real HTTP server on a loopback address. `answer(request) -> (status, headers, body or chunks)`."""

    def __init__(self, answer: Callable[[Request], tuple[int, dict[str, str], Any]], host: str = "127.0.0.1") -> None:
        self.requests: list[Request] = []
        seen = self.requests

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                request = Request(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body)
                seen.append(request)
                status, headers, reply = answer(request)
                chunks = [reply] if isinstance(reply, bytes) else reply
                self.send_response(status)
                for key, value in headers.items():
                    self.send_header(key, value)
                self.end_headers()
                with suppress(BrokenPipeError, ConnectionResetError):  # a client that has seen enough hangs up
                    for chunk in chunks:
                        self.wfile.write(chunk)

            do_POST = do_GET

            def log_message(self, *_: Any) -> None:
                return None

        class Server(ThreadingHTTPServer):
            daemon_threads = False  # closing waits for them, and so for their sockets
            request_queue_size = 1024  # with the library's five, a burst waits for seconds while this process is busy

        self._server = Server((host, 0), Handler)
        self.host, self.port = self._server.server_address[:2]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def loopback() -> Iterator[Callable[..., Loopback]]:
    """`loopback(answer, host=...)` starts a server that ends with the test."""
    servers: list[Loopback] = []

    def start(answer: Callable[[Request], tuple[int, dict[str, str], Any]], host: str = "127.0.0.1") -> Loopback:
        servers.append(Loopback(answer, host))
        return servers[-1]

    yield start
    for server in servers:
        server.close()
