"""judger ui: the page in a browser, with a judge behind it and perhaps a run on it, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from judger.cli.exits import INTERRUPTED, OK, TERMINATED
from judger.cli.gateway import add_listening, opened
from judger.cli.options import check_judge, connection, engine_settings, judge_flags, serve_config, with_user_files
from judger.cli.page import add_cases


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "ui",
        help="the page in a browser: judge, look at a run, say what you think of its verdicts",
        description="Serves a page to judge what is pasted, to compare two reports, and with RUN to look at a run "
        "while it grows. What people say of its verdicts is kept beside it, in RUN.people.jsonl or in the folder's "
        "verdicts.people.jsonl.",
        parents=[judge_flags()],
        allow_abbrev=False,
    )
    parser.add_argument("run_path", nargs="?", type=Path, metavar="RUN", help="a run's file, or a folder of them")
    add_cases(parser)
    add_listening(parser, default="127.0.0.1:8080")
    parser.set_defaults(run=run)


async def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    check_judge(args)
    from judger.server.signals import ending_at_once

    async with AsyncExitStack() as stack:
        address, settings = args.addr, connection(args)
        front = opened(args, run_path=args.run_path, cases=args.cases)
        if not address:
            from judger.server.process import running

            config = with_user_files(
                serve_config(engine_settings(args) | {"host": "127.0.0.1", "port": 0, "grace": 0.0})
            )
            with ending_at_once({signal.SIGINT: INTERRUPTED, signal.SIGTERM: TERMINATED}):
                address = (await stack.enter_async_context(running(config))).address
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        url = await stack.enter_async_context(front.listening(address, settings))
        print(f"judger: page on {url}", file=sys.stderr, flush=True)
        await stop.wait()
    return OK
