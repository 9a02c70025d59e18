"""A port that was found free stays so for whom it was found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.ports import free_port

ROOT = Path(__file__).parents[1]


def test_a_port_is_given_once_here_and_in_other_processes() -> None:
    ports = [free_port() for _ in range(20)]
    assert len(set(ports)) == 20
    with pytest.raises(OSError, match="no port is free"):
        free_port(ports)
    code = f"from tests.ports import free_port; free_port({ports})"
    other = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert "no port is free" in other.stderr
