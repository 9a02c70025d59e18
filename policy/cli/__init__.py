"""`judger-agent`: run, index, rollouts, replay. One file a command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from judger.errors import InvalidFile
from policy.errors import AgentError, ConfigError

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status: 0 done, 1 the work failed, 2 what the user wrote is wrong, 130 interrupted."""
    from policy.cli import index, replay, rollouts, run

    parser = argparse.ArgumentParser(prog="judger-agent", description="A research agent with real tools.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in (run, index, rollouts, replay):
        module.add(commands)
    arguments = parser.parse_args(argv)
    try:
        status: int = arguments.act(arguments)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except InvalidFile as error:
        print(error, file=sys.stderr)
        return 2
    except AgentError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return status
