"""judger gateway: JSON over HTTP in front of a running server, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys

from judger.cli.exits import OK
from judger.cli.options import address, connection, seconds, serve_config, server_flags
from judger.config import ServeConfig
from judger.errors import InvalidRequest
from judger.flags import add_flags, given
from judger.observe.logs import FORMATS, in_background

SETTINGS = ("unscored", "keep_reasoning", "tokens", "tls_cert", "tls_key", "tls_client_ca", "allow_remote")


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
    group = parser.add_argument_group("the gateway")
    group.add_argument("--listen", type=address, metavar="HOST:PORT", required=True, help="where it listens")
    group.add_argument(
        "--timeout", type=seconds, default=300.0, metavar="SECONDS", help="what a call may take; default: 300"
    )
    group.add_argument(
        "--grace", type=seconds, default=30.0, metavar="SECONDS", help="for calls in hand at the end; default: 30"
    )
    add_flags(parser, ServeConfig, SETTINGS)
    group = parser.add_argument_group("what it tells")
    group.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info")
    group.add_argument("--log-format", choices=FORMATS, default="text", help="lines to read, or JSON; default: text")
    parser.set_defaults(run=run)


async def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    host, port = args.listen.rsplit(":", 1)
    where = {"host": host.strip("[]"), "http_port": int(port), "engine": "scripted"}
    config = serve_config(given(args, SETTINGS) | where)
    settings = connection(args)
    from judger.server.web import check_http

    check_http(config)
    from judger.client.settings import Settings
    from judger.http.app import build_app
    from judger.http.calls import OnServer
    from judger.http.process import TlsFiles, listen
    from judger.server.callers import TokenFile
    from judger.server.exposure import check_exposure
    from judger.server.process import is_loopback

    try:
        check_exposure(config, loopback=is_loopback(config.host))
    except InvalidRequest as error:  # what is serve's --host is --listen here
        raise InvalidRequest("--listen" if error.field == "host" else error.field, error.reason) from error
    tokens = TokenFile(config.tokens) if config.tokens is not None else None
    tls = None
    if config.tls_cert is not None and config.tls_key is not None:
        tls = TlsFiles(cert=config.tls_cert, key=config.tls_key, client_ca=config.tls_client_ca)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    judging = OnServer(Settings(address=args.addr, **settings), tokens.caller if tokens is not None else None)
    app = build_app(
        judging,
        unscored=config.unscored,
        reasoning=config.keep_reasoning,
        max_seconds=args.timeout,
        access_log=True,
    )
    with in_background():
        doors = listen(app, config.host, int(port), tls=tls, flag="--listen")
        try:
            print(f"judger: http on {doors.address}, in front of {args.addr}", file=sys.stderr, flush=True)
            await stop.wait()
        finally:
            await doors.stop(args.grace)
            judging.close()
    return OK
