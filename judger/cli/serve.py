"""judger serve: the judging service, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import gc
import sys
from typing import TYPE_CHECKING

from judger.cli.exits import OK
from judger.cli.options import checked, engine_flags, engine_settings, serve_config, with_user_files
from judger.cluster.config import RAY, RAY_SETTINGS, ClusterConfig
from judger.config import SERVER_SETTINGS, TOLD, ServeConfig
from judger.errors import InvalidRequest
from judger.flags import add_flags, flag_name, given
from judger.observe.logs import FORMATS, in_background

if TYPE_CHECKING:
    from judger.server.process import Running


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "serve",
        help="run the gRPC server",
        description="Serves the Judger service until SIGTERM or Ctrl-C; then running work may finish.",
        parents=[engine_flags()],
        allow_abbrev=False,
    )
    groups = add_flags(parser, ServeConfig, SERVER_SETTINGS)
    groups |= add_flags(parser, ClusterConfig, RAY_SETTINGS)
    groups[RAY].add_argument("--ray", action="store_true", help="serve replicas on Ray Serve ([ray] extra)")
    levels = ("debug", "info", "warning", "error")
    groups[TOLD].add_argument(
        "--log-level", choices=levels, default="info", help="the least that is told; default: info"
    )
    groups[TOLD].add_argument(
        "--log-format", choices=FORMATS, default="text", help="lines to read, or JSON; default: text"
    )
    parser.set_defaults(run=run)


async def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    settings = engine_settings(args) | given(args, SERVER_SETTINGS)
    on_ray = given(args, RAY_SETTINGS)
    if args.ray:
        return await _run_on_ray(checked(ClusterConfig, settings | on_ray))
    if on_ray:
        raise InvalidRequest(flag_name(next(iter(on_ray))), "is for --ray")
    config = with_user_files(serve_config(settings | {"bars": sys.stderr.isatty()}))
    from judger.server.process import serve

    def on_ready(server: Running) -> None:
        _settle()
        print(f"judger: serving {server.judge.judge_id} on {server.address}", file=sys.stderr, flush=True)
        if server.http_address is not None:
            print(f"judger: http on {server.http_address}", file=sys.stderr, flush=True)

    with in_background():
        await serve(config, on_ready=on_ready)
    return OK


async def _run_on_ray(config: ClusterConfig) -> int:
    from judger.cluster.run import serve_on_ray

    def on_ready(judge_id: str, port: int) -> None:
        print(f"judger: serving {judge_id} on Ray, port {port}", file=sys.stderr, flush=True)

    await serve_on_ray(config, on_ready=on_ready)
    return OK


def _settle() -> None:
    """What was loaded stays for good, and calls leave few cycles: the collector need not walk the first for the last.

    A full collection among a few hundred thousand objects takes longer than a call may wait.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
