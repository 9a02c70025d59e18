"""Every command that docs/evaluation.md and docs/pages.md show is one that the command line understands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from judger.cli import build_parser

DOCS = Path(__file__).parents[3] / "docs"
COMMANDS = {
    name: re.findall(r"^    judger (.+)$", (DOCS / name).read_text(encoding="utf-8"), re.MULTILINE)
    for name in ("evaluation.md", "pages.md")
}


@pytest.mark.parametrize("command", [command for found in COMMANDS.values() for command in found])
def test_a_command_of_the_page_is_understood(command):
    assert callable(build_parser().parse_args(shlex.split(command, comments=True)).run)


def test_there_are_some():
    assert len(COMMANDS["evaluation.md"]) > 12
    assert len(COMMANDS["pages.md"]) > 7
