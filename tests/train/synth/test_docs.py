"""Every command that docs/synthesis.md shows is one that the command line understands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from train.cli import build_parser

PAGE = (Path(__file__).parents[3] / "docs" / "synthesis.md").read_text(encoding="utf-8").replace("\\\n", "")
COMMANDS = re.findall(r"^    judger-train (.+)$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_is_understood(command):
    assert callable(build_parser().parse_args(shlex.split(command, comments=True)).run)


def test_there_are_some():
    assert len(COMMANDS) >= 9
