"""judger serve: the judging service, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from judger.cli.exits import OK
from judger.cli.options import engine_flags, engine_settings, serve_config, with_user_key
from judger.config import ServeConfig
from judger.observe.logs import FORMATS, in_background

if TYPE_CHECKING:
    from judger.server.process import Running

SERVER_FLAGS = (
    *("host", "port", "http_port", "unscored", "keep_reasoning", "metrics_port", "grace", "stream_in_flight"),
    "allow_remote",
    *("log_texts", "otlp", "tokens", "tls_cert", "tls_key", "tls_client_ca"),
    *("cache", "cache_mb", "cache_redis", "cache_memory_mb", "max_queued_tokens", "lane_weights", "engine_timeout"),
)


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "serve",
        help="run the gRPC server",
        description="Serves the Judger service until SIGTERM or Ctrl-C; then running work may finish.",
        parents=[engine_flags()],
        allow_abbrev=False,
    )
    group = parser.add_argument_group("the server")
    fields = ServeConfig.model_fields
    group.add_argument("--host", metavar="ADDRESS", help=_help(fields, "host"))
    group.add_argument("--port", type=int, metavar="N", help=_help(fields, "port"))
    group.add_argument("--http-port", type=int, metavar="N", help=_help(fields, "http_port"))
    group.add_argument("--unscored", type=float, metavar="NUMBER", help=_help(fields, "unscored"))
    group.add_argument("--keep-reasoning", action="store_true", default=None, help=_help(fields, "keep_reasoning"))
    group.add_argument("--metrics-port", type=int, metavar="N", help=_help(fields, "metrics_port"))
    group.add_argument("--grace", type=float, metavar="SECONDS", help=_help(fields, "grace"))
    group.add_argument("--stream-in-flight", type=int, metavar="N", help=_help(fields, "stream_in_flight"))
    group.add_argument("--allow-remote", action="store_true", default=None, help=_help(fields, "allow_remote"))
    group = parser.add_argument_group("who may call")
    group.add_argument("--tokens", type=Path, metavar="FILE", help=_help(fields, "tokens"))
    group.add_argument("--tls-cert", type=Path, metavar="FILE", help=_help(fields, "tls_cert"))
    group.add_argument("--tls-key", type=Path, metavar="FILE", help=_help(fields, "tls_key"))
    group.add_argument("--tls-client-ca", type=Path, metavar="FILE", help=_help(fields, "tls_client_ca"))
    group = parser.add_argument_group("verdicts kept")
    group.add_argument("--cache", type=Path, metavar="PATH", help=_help(fields, "cache"))
    group.add_argument("--cache-mb", type=int, metavar="N", help=_help(fields, "cache_mb"))
    group.add_argument("--cache-redis", metavar="URL", help=_help(fields, "cache_redis"))
    group.add_argument("--cache-memory-mb", type=int, metavar="N", help=_help(fields, "cache_memory_mb"))
    group = parser.add_argument_group("load and failures")
    group.add_argument("--max-queued-tokens", type=int, metavar="N", help=_help(fields, "max_queued_tokens"))
    group.add_argument("--lane-weights", type=_numbers, metavar="T,E,B", help=_help(fields, "lane_weights"))
    group.add_argument("--engine-timeout", type=float, metavar="SECONDS", help=_help(fields, "engine_timeout"))
    group = parser.add_argument_group("what it tells")
    group.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info")
    group.add_argument("--log-format", choices=FORMATS, default="text", help="lines to read, or JSON; default: text")
    group.add_argument("--log-texts", action="store_true", default=None, help=_help(fields, "log_texts"))
    group.add_argument("--otlp", metavar="URL", help=_help(fields, "otlp"))
    parser.set_defaults(run=run)


async def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    settings = {name: getattr(args, name) for name in SERVER_FLAGS if getattr(args, name) is not None}
    config = with_user_key(serve_config(engine_settings(args) | settings | {"bars": sys.stderr.isatty()}))
    from judger.server.process import serve

    def on_ready(server: Running) -> None:
        _settle()
        print(f"judger: serving {server.judge.judge_id} on {server.address}", file=sys.stderr, flush=True)
        if server.http_address is not None:
            print(f"judger: http on {server.http_address}", file=sys.stderr, flush=True)

    with in_background():
        await serve(config, on_ready=on_ready)
    return OK


def _settle() -> None:
    """What was loaded stays for good, and calls leave few cycles: the collector need not walk the first for the last.

    A full collection among a few hundred thousand objects takes longer than a call may wait.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


def _help(fields: Any, name: str) -> str:
    field = fields[name]
    return f"{field.description} (default: {'none' if field.default is None else field.default})"
