"""`python -m tests.soak`: runs it, prints its figures as JSON, and ends with 1 where it found a fault."""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path

from tests.soak.client import client
from tests.soak.run import Plan, faults, soak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument("--restarts", type=int, default=2, help="of the server, by SIGTERM")
    parser.add_argument("--crash-every", type=float, default=60, metavar="SECONDS", help="the engine dies")
    parser.add_argument("--kill-every", type=float, default=45, metavar="SECONDS", help="a client is killed")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    for hidden, kind in (("--seconds", float), ("--rate", float), ("--seed", int)):
        parser.add_argument(hidden, type=kind, help=argparse.SUPPRESS)
    parser.add_argument("--client", nargs=2, metavar=("ADDRESS", "OUT"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.client:
        address, out = args.client
        asyncio.run(client(address, args.seed, args.seconds, args.rate, Path(out)))
        return
    plan = Plan(
        seconds=args.minutes * 60,
        clients=args.clients,
        restarts=args.restarts,
        crash_every=args.crash_every,
        kill_every=args.kill_every,
    )
    figures = soak(plan)
    print(json.dumps(figures, indent=1))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1))
    if found := faults(figures, plan):
        raise SystemExit(f"the soak found faults: {'; '.join(found)}")


if __name__ == "__main__":
    main()
