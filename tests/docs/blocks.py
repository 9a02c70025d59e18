"""Every code block of every page, and the commands in it.

A block of commands is one whose first line begins with a program of `PROGRAMS`; its lines are commands, continued with
a backslash, with a comment after #. A command with `[` or `...` in it is a synopsis: it shows which flags there are.
What can't be run is marked in the page, on a line above the block, with the reason:

    <!-- not run: it needs a GPU -->
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), ROOT / "judger" / "demo" / "README.md"])
PROGRAMS = (
    *("judger", "judger-train", "judger-agent", ".venv/bin/judger", "python", "make", "pip", "pytest"),
    *("accelerate", "ray", "inspect", "curl", "mkdocs"),
)
MARKER = re.compile(r"<!--\s*not run:\s*(\S.*?)\s*-->")
# "judger serve       the gRPC server": a table of commands; and "judger ui    # a page".
SAID = re.compile(r"\s{2,}(?=[a-zA-Z])|\s+#\s")


@dataclass(frozen=True)
class Block:
    """A code block. line: where it begins, from 1; reason: why it is not run, empty where it is."""

    page: str
    line: int
    language: str
    text: str
    reason: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def is_table(self) -> bool:
        """Whether it lists commands with what each is for."""
        lines = self.text.splitlines()
        return all(re.match(r"[\w-]+ [\w-]+\s{2,}[a-zA-Z]", line) for line in lines)

    @property
    def commands(self) -> list[str]:
        """The commands, or none where it is a block of something else."""
        if self.language == "bash":  # one command, of several lines
            return [self.text.strip()]
        lines = [line.removeprefix("$ ") for line in self.text.replace("\\\n", " ").splitlines() if line.strip()]
        if self.language not in ("", "console") or not lines or lines[0].split()[0] not in PROGRAMS:
            return []
        found = (SAID.split(line, maxsplit=1)[0].strip() for line in lines if line.split()[0] in PROGRAMS)
        return [" ".join(command.split()) for command in found]


def blocks() -> Iterator[Block]:
    """All of them, page by page."""
    for path in PAGES:
        reason = ""
        for token in MarkdownIt().parse(path.read_text(encoding="utf-8")):
            if token.type == "html_block":
                reason = _reason(token)
            elif token.type in ("fence", "code_block"):
                assert token.map is not None
                line, language = token.map[0] + 1, token.info.strip()
                yield Block(path.relative_to(ROOT).as_posix(), line, language, token.content, reason)
                reason = ""
            elif token.level == 0:
                reason = ""


def is_synopsis(command: str) -> bool:
    """Whether it says how a command is called, and is none itself."""
    return "[" in command or "..." in command or re.search(r"\b[A-Z]+\.[a-z]+\b", command) is not None


def words(command: str) -> list[str]:
    """As a shell takes it apart; the program without its folder, without what sends it to the background."""
    program, *rest = shlex.split(command, comments=True)
    return [program.rpartition("/")[2], *(word for word in rest if word != "&")]


def _reason(token: Token) -> str:
    found = MARKER.search(token.content)
    return found[1] if found else ""
