"""Every command that docs/evaluation.md shows is one that the command line understands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from judger.cli import build_parser

PAGE = Path(__file__).parents[3] / "docs" / "evaluation.md"
COMMANDS = re.findall(r"^    judger (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_is_understood(command):
    assert callable(build_parser().parse_args(shlex.split(command)).run)


def test_there_are_some():
    assert len(COMMANDS) > 12
