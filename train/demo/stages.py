"""A stage is a command of `judger-train`, run once: what is done stays done when the demo is started again."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Stage", "StageFailed", "run_stages", "seconds_of"]


THREADS = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
"""A stage and the judge share two cores: two threads each were seen to take ten times as long as one."""


class StageFailed(Exception):
    """A command ended with another exit code than 0."""


@dataclass(frozen=True, slots=True)
class Stage:
    """`title` is for people; `argv` follows `judger-train`."""

    name: str
    title: str
    argv: tuple[str, ...]

    def digest(self, before: str) -> str:
        """Changes with the command and with what came before it, not with the judger's port, ever another."""
        kept = [word for flag, word in zip(("", *self.argv), self.argv, strict=False) if flag != "--addr"]
        return hashlib.sha256(json.dumps([before, *kept]).encode()).hexdigest()[:16]


def run_stages(stages: Sequence[Stage], out: Path) -> None:
    """Run what has not been run with the same command. Raises StageFailed."""
    started, digest = time.monotonic(), ""
    for number, stage in enumerate(stages, 1):
        head = f"[{number}/{len(stages)}] {stage.title}"
        done, digest = _read(out, stage), stage.digest(digest)
        if done is not None and done["digest"] == digest:
            _say(f"{head}: done before, in {done['seconds']:.0f} s")
            continue
        _say(f"{head}  (after {_clock(time.monotonic() - started)})")
        begun = time.monotonic()
        command = [sys.executable, "-m", "train.cli", *stage.argv]
        code = subprocess.run(command, check=False, env=os.environ | THREADS).returncode
        if code:
            raise StageFailed(f"{stage.title}: judger-train {' '.join(stage.argv)} ended with {code}")
        seconds = time.monotonic() - begun
        _path(out, stage).write_text(json.dumps({"digest": digest, "seconds": seconds}), encoding="utf-8")
        _say(f"{' ' * len(f'[{number}/{len(stages)}]')} took {_clock(seconds)}")


def seconds_of(stages: Sequence[Stage], out: Path) -> dict[str, float]:
    """How long each stage that is done took, in seconds."""
    found = {stage.name: _read(out, stage) for stage in stages}
    return {name: done["seconds"] for name, done in found.items() if done is not None}


def _path(out: Path, stage: Stage) -> Path:
    folder = out / "done"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{stage.name}.json"


def _read(out: Path, stage: Stage) -> dict[str, float] | None:
    path = _path(out, stage)
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
