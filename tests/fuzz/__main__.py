"""`python -m tests.fuzz`: a million inputs for each target, guided by coverage (atheris: the `[fuzz]` extra).

    python -m tests.fuzz [--inputs 1000000] [--seed 1] [loaders] [requests] [verdicts]

Each target runs in a process of its own, which ends at its first crash; the input that did it is kept and named. Ends
with 1 where there was one.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TARGETS = ("loaders", "requests", "verdicts")
LONGEST = 1024
"""Bytes of an input."""
TIMEOUT = 600
"""Seconds by the clock, that a machine with other work, or one that slept, may need for one input."""


def fuzz(name: str, inputs: int, seed: int, artifacts: Path) -> dict[str, object]:
    """Runs a target in a process, and says what came of it."""
    started = time.monotonic()
    command = [sys.executable, "-m", "tests.fuzz", "--inside", name, "--inputs", str(inputs), "--seed", str(seed)]
    done = subprocess.run([*command, "--artifacts", str(artifacts)], stderr=subprocess.PIPE, text=True)
    ran = re.findall(r"^#(\d+)\t(?:DONE|.*)", done.stderr, flags=re.MULTILINE)
    crashes = sorted(str(path) for path in artifacts.glob(f"{name}-*"))
    if done.returncode:
        print(done.stderr[-4000:], file=sys.stderr)
    return {
        "target": name,
        "inputs": int(ran[-1]) if ran else 0,
        "seconds": round(time.monotonic() - started, 1),
        "crashes": crashes,
        "exit_code": done.returncode,
    }


def inside(name: str, inputs: int, seed: int, artifacts: Path) -> None:
    """The fuzzer itself. Never returns: libFuzzer ends the process."""
    import atheris

    with atheris.instrument_imports(include=["judger"]):
        from tests.fuzz import targets
    if "torch" in sys.modules:
        raise SystemExit("the targets load torch: the loaders and the parser must do without")
    corpus = Path(tempfile.mkdtemp(prefix=f"judger-fuzz-{name}-"))
    for number, content in enumerate(targets.seeds(name)):
        (corpus / f"seed-{number}").write_bytes(content)
    limits = [f"-runs={inputs}", f"-seed={seed}", f"-max_len={LONGEST}", f"-timeout={TIMEOUT}", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *limits, f"-artifact_prefix={artifacts}/{name}-", str(corpus)], targets.target(name))
    atheris.Fuzz()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", help=f"default: {' '.join(TARGETS)}")
    parser.add_argument("--inputs", type=int, default=1_000_000, help="of each")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--artifacts", type=Path, help="a folder for inputs that crash; default: a temporary one")
    parser.add_argument("--inside", choices=TARGETS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    artifacts = args.artifacts or Path(tempfile.mkdtemp(prefix="judger-crashes-"))
    artifacts.mkdir(parents=True, exist_ok=True)
    if args.inside:
        inside(args.inside, args.inputs, args.seed, artifacts)
    if unknown := set(args.targets) - set(TARGETS):
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    found = [fuzz(name, args.inputs, args.seed, artifacts) for name in args.targets or TARGETS]
    for one in found:
        print(json.dumps(one))
    if any(one["exit_code"] for one in found):
        raise SystemExit(1)
    shutil.rmtree(artifacts, ignore_errors=True)


if __name__ == "__main__":
    main()
