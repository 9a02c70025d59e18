"""judger gateway: JSON over HTTP in front of a running server, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from judger.cli.exits import OK
from judger.cli.options import address, connection, seconds, serve_config, server_flags
from judger.config import ServeConfig
from judger.errors import InvalidRequest
from judger.flags import add_flags, given
from judger.observe.logs import FORMATS, in_background

if TYPE_CHECKING:
    from judger.http.desk import Desk
    from judger.server.callers import TokenFile

SETTINGS = ("unscored", "keep_reasoning", "origin", "tokens", "tls_cert", "tls_key", "tls_client_ca", "allow_remote")


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "gateway",
        help="JSON over HTTP in front of a running server",
        description="Speaks HTTP and asks a running server, until SIGTERM or Ctrl-C. A caller's own token is passed on "
        "to the server; whoever brings none calls with that of --token-file.",
        parents=[server_flags("the judge, on a server", required=True)],
        allow_abbrev=False,
    )
    add_listening(parser)
    group = parser.add_argument_group("what it tells")
    group.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info")
    group.add_argument("--log-format", choices=FORMATS, default="text", help="lines to read, or JSON; default: text")
    parser.set_defaults(run=run)


def add_listening(parser: argparse.ArgumentParser, *, default: str | None = None) -> None:
    """Adds the flags of the HTTP side, which `opened` reads. Without a default `--listen` must be given."""
    group = parser.add_argument_group("the gateway")
    words = "where it listens" + (f"; default: {default}" if default else "")
    group.add_argument(
        "--listen", type=address, metavar="HOST:PORT", default=default, required=default is None, help=words
    )
    group.add_argument(
        "--timeout", type=seconds, default=300.0, metavar="SECONDS", help="what a call may take; default: 300"
    )
    group.add_argument(
        "--grace", type=seconds, default=30.0, metavar="SECONDS", help="for calls in hand at the end; default: 30"
    )
    add_flags(parser, ServeConfig, SETTINGS)


@dataclass(frozen=True, slots=True)
class Front:
    """The HTTP side, checked and not yet open."""

    config: ServeConfig
    timeout: float
    grace: float
    tokens: TokenFile | None
    desk: Desk | None

    @asynccontextmanager
    async def listening(
        self, judge: str, settings: Mapping[str, Any], *, access_log: bool = False
    ) -> AsyncIterator[str]:
        """Opens it before the judge at that address; gives its URL. Raises InvalidRequest for the port."""
        from judger.client.settings import Settings
        from judger.http.app import build_app
        from judger.http.calls import OnServer
        from judger.http.process import TlsFiles, listen

        config, tls = self.config, None
        if config.tls_cert is not None and config.tls_key is not None:
            tls = TlsFiles(cert=config.tls_cert, key=config.tls_key, client_ca=config.tls_client_ca)
        judging = OnServer(Settings(address=judge, **settings), self.tokens.caller if self.tokens else None)
        app = build_app(
            judging,
            unscored=config.unscored,
            reasoning=config.keep_reasoning,
            max_seconds=self.timeout,
            access_log=access_log,
            origin=config.origin,
            desk=self.desk,
        )
        assert config.http_port is not None
        doors = listen(app, config.host, config.http_port, tls=tls, flag="--listen")
        try:
            yield f"http{'s' if tls else ''}://{doors.address}"
        finally:
            await doors.stop(self.grace)
            judging.close()


def opened(args: argparse.Namespace, *, run_path: Path | None = None, cases: Path | None = None) -> Front:
    """Checks everything that can be before a judge is loaded. Raises InvalidRequest, InvalidFile."""
    host, port = args.listen.rsplit(":", 1)
    where = {"host": host.strip("[]"), "http_port": int(port), "engine": "scripted"}
    config = serve_config(given(args, SETTINGS) | where)
    from judger.server.callers import TokenFile
    from judger.server.exposure import check_exposure, server_credentials
    from judger.server.process import is_loopback
    from judger.server.web import check_http

    check_http(config)
    server_credentials(config)  # here for its faults: it names the file that is wrong, and how
    try:
        check_exposure(config, loopback=is_loopback(config.host))
    except InvalidRequest as error:  # what is serve's --host is --listen here
        raise InvalidRequest("--listen" if error.field == "host" else error.field, error.reason) from error
    tokens = TokenFile(config.tokens) if config.tokens is not None else None
    desk = None
    if run_path is not None:
        from judger.http.desk import Desk
        from judger.pages import Growing, PeopleFile
        from judger.pages.runs import people_path

        desk = Desk(Growing(run_path, cases), PeopleFile(people_path(run_path)))
    elif cases is not None:
        raise InvalidRequest("--cases", "are those of a RUN: give that, too")
    return Front(config, args.timeout, args.grace, tokens, desk)


async def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    settings = connection(args)
    front = opened(args)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with in_background():
        async with front.listening(args.addr, settings, access_log=True) as url:
            print(f"judger: http on {url.partition('://')[2]}, in front of {args.addr}", file=sys.stderr, flush=True)
            await stop.wait()
    return OK
