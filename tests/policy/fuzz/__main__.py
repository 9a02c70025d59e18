"""`python -m tests.policy.fuzz`: generated hostile inputs for the agent, by the thousand; the tests run a short form.

    python -m tests.policy.fuzz [--inputs 10000] [--seed 1] [files] [replies] [arguments]

One JSON object a target: inputs, failures (anything but what the target may raise), the slowest input in seconds. Ends
with 1 where something failed; the inputs that did it are kept and named.
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
from pathlib import Path

from tests.policy.fuzz.targets import TARGETS, attack


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], help=f"default: {' '.join(TARGETS)}")
    parser.add_argument("--inputs", type=int, default=10_000, help="of each")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    kept = Path(tempfile.mkdtemp(prefix="judger-agent-fuzz-"))
    failed = False
    for name in arguments.targets or TARGETS:
        found = attack(name, arguments.inputs, arguments.seed)
        for number, (data, trace) in enumerate(found.failures):
            (kept / f"{name}-{number}").write_bytes(data)
            (kept / f"{name}-{number}.txt").write_text(trace)
            failed = True
        where = str(kept) if found.failures else ""
        print(json.dumps({"target": name, **found.figures(), "kept": where}), flush=True)
    if failed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
