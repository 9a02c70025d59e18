"""`python -m tests.policy.fuzz`: generated hostile inputs for the agent, by the thousand; the tests run a short form.

    python -m tests.policy.fuzz [--inputs 10000] [--seed 1] [TARGET ...]

    pdfs, files    what is indexed, mutated: read, or refused as unreadable
    pages          HTML, Markdown and plain bytes in all encodings: the same
    results        what search services might send: read, or refused as a bad reply
    replies        what endpoints might send, as far as the record of an episode
    streams        the same in pieces, of which the reply is the same wherever they are cut
    arguments      what a model might write into a call, as far
    calls          the same carried out by every tool but the shell; an MCP server's answers are odd, too
    reports        citations, mathematics and code: resolved, and laid out as a page without anything active
    commands       for the shell: what they print and change, how they end; each leaves a shell that works
    patches        anchors that say the same or something else, against an oracle (`tests.policy.workspace.edits`)

One JSON object a target: inputs, failures, and the slowest input in seconds of the processor, the first of which loads
the libraries. Ends with 1 where something failed; the inputs that did it are kept and named.
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
from pathlib import Path

from tests.policy.fuzz.attack import Found, attack
from tests.policy.fuzz.commands import missing
from tests.policy.fuzz.targets import TARGETS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], help=f"default: {' '.join(TARGETS)}")
    parser.add_argument("--inputs", type=int, default=10_000, help="of each")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    failed = False
    for name in arguments.targets or TARGETS:
        if name == "commands" and (reason := missing()):
            print(json.dumps({"target": name, "inputs": 0, "missing": reason}), flush=True)
            continue
        found = attack(TARGETS[name], arguments.inputs, arguments.seed)
        kept = _keep(name, found) if found.failures else None
        failed |= kept is not None
        print(json.dumps({"target": name, **found.figures(), "kept": str(kept or "")}), flush=True)
    if failed:
        raise SystemExit(1)


def _keep(name: str, found: Found) -> Path:
    """Write the inputs that failed, each with its trace, into a folder."""
    kept = Path(tempfile.mkdtemp(prefix="judger-agent-fuzz-"))
    for number, (given, trace) in enumerate(found.failures):
        (kept / f"{name}-{number}").write_bytes(given if isinstance(given, bytes) else repr(given).encode())
        (kept / f"{name}-{number}.txt").write_text(trace)
    return kept


if __name__ == "__main__":
    main()
