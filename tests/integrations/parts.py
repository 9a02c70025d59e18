"""Modules of libraries too large to install: their wheels lie unpacked, without what they need, in the environment."""

from __future__ import annotations

import importlib
import sys
import types
from pathlib import Path
from typing import Any

PARTS = Path(sys.prefix) / "parts"
"""Made by make_venv.sh."""


def part(module: str, *bare: str) -> Any:
    """A module out of the parts. The packages `bare` are entered without running what they run on import."""
    for name in bare:
        package = types.ModuleType(name)
        package.__path__ = [str(PARTS / name.replace(".", "/"))]
        sys.modules.setdefault(name, package)
    return importlib.import_module(module)
