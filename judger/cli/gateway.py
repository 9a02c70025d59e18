"""judger gateway: JSON over HTTP in front of a running server, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import math
import signal
import sys
from pathlib import Path

from judger.cli.exits import OK
from judger.cli.options import address, connection, seconds, serve_config, server_flags
from judger.config import ServeConfig
from judger.errors import InvalidRequest
from judger.observe.logs import FORMATS, in_background

WHO_MAY_CALL = ("tokens", "tls_cert", "tls_key", "tls_client_ca", "allow_remote")


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
    fields = ServeConfig.model_fields
    group = parser.add_argument_group("the gateway")
    group.add_argument("--listen", type=address, metavar="HOST:PORT", required=True, help="where it listens")
    group.add_argument("--unscored", type=float, metavar="NUMBER", help=fields["unscored"].description)
    group.add_argument("--keep-reasoning", action="store_true", help=fields["keep_reasoning"].description)
    group.add_argument(
        "--timeout", type=seconds, default=300.0, metavar="SECONDS", help="what a call may take; default: 300"
    )
    group.add_argument(
        "--grace", type=seconds, default=30.0, metavar="SECONDS", help="for calls in hand at the end; default: 30"
    )
    group = parser.add_argument_group("who may call")
    group.add_argument("--tokens", type=Path, metavar="FILE", help=fields["tokens"].description)
    group.add_argument("--tls-cert", type=Path, metavar="FILE", help=fields["tls_cert"].description)
    group.add_argument("--tls-key", type=Path, metavar="FILE", help=fields["tls_key"].description)
    group.add_argument("--tls-client-ca", type=Path, metavar="FILE", help=fields["tls_client_ca"].description)
    group.add_argument("--allow-remote", action="store_true", default=None, help=fields["allow_remote"].description)
    group = parser.add_argument_group("what it tells")
    group.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info")
    group.add_argument("--log-format", choices=FORMATS, default="text", help="lines to read, or JSON; default: text")
    parser.set_defaults(run=run)


async def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    if args.unscored is not None and not math.isfinite(args.unscored):
        raise InvalidRequest("--unscored", f"must be a finite number, not {args.unscored}")
    host, port = args.listen.rsplit(":", 1)
    given = {name: getattr(args, name) for name in WHO_MAY_CALL if getattr(args, name) is not None}
    config = serve_config(given | {"host": host.strip("[]"), "http_port": int(port), "engine": "scripted"})
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

    check_exposure(config, loopback=is_loopback(config.host))
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
        unscored=args.unscored,
        reasoning=args.keep_reasoning,
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
