"""Every command of the docs is one that there is, and every block of Python compiles. `make docs-test` runs them."""

from __future__ import annotations

import argparse
import ast
import functools
import importlib.util
import re
import tomllib

import pytest
import yaml

import judger.cli
import train.cli
from tests.docs.blocks import MARKER, PAGES, ROOT, Block, blocks, is_synopsis, words

BLOCKS = list(blocks())
COMMANDS = [(block, command) for block in BLOCKS for command in block.commands]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
DOCS = list((ROOT / "docs").rglob("*.md"))
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
FOREIGN = ("accelerate", "ray", "inspect", "curl", "mkdocs")
"""Programs of others, of which nothing is known here."""


def ids(found: object) -> str:
    return str(found) if isinstance(found, Block | str) else ""


def agent_parser() -> argparse.ArgumentParser:
    from policy.cli import index, replay, rollouts, run

    parser = argparse.ArgumentParser(prog="judger-agent")
    commands = parser.add_subparsers(dest="command", required=True)
    for module in (run, index, rollouts, replay):
        module.add(commands)
    return parser


PARSERS = {
    name: functools.cache(build)
    for name, build in (
        ("judger", judger.cli.build_parser),
        ("judger-train", train.cli.build_parser),
        ("judger-agent", agent_parser),
    )
}


def flags(parser: argparse.ArgumentParser, argv: list[str]) -> set[str]:
    """All flags of the command that the words begin with."""
    found: set[str] = set()
    for word in [*argv, ""]:
        found |= {flag for action in parser._actions for flag in action.option_strings}
        subs = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
        if not subs:
            break
        assert word in subs[0].choices, f"{word!r} is none of {sorted(subs[0].choices)}"
        parser = subs[0].choices[word]
    return found


def names_of(program: str) -> set[str]:
    """The commands of a program."""
    subs = [action for action in PARSERS[program]()._actions if isinstance(action, argparse._SubParsersAction)]
    return set(subs[0].choices)


@pytest.mark.parametrize(("block", "command"), COMMANDS, ids=ids)
def test_a_command_is_one_that_there_is(block: Block, command: str) -> None:
    if block.is_table:
        program, name = command.split()
        assert name in (TARGETS if program == "make" else names_of(program))
    elif is_synopsis(command):
        program, *argv = re.sub(r"[][|]|\.\.\.", " ", command).split()
        if program in PARSERS:
            known = flags(PARSERS[program](), argv)
            assert {word for word in argv if re.fullmatch(r"--?[a-z][a-z-]*", word)} <= known
    else:
        check(*words(command))


def check(program: str, *argv: str) -> None:
    """That one could run this here, as far as can be told without."""
    if program in PARSERS:
        assert PARSERS[program]().parse_args(argv)
    elif program == "make":
        assert {word for word in argv if "=" not in word} <= TARGETS
    elif program == "pip":
        named = re.findall(r"checklist-judger\[([\w,]+)\]|'\.\[([\w,]+)\]'", " ".join(argv))
        assert {extra for pair in named for extra in ",".join(filter(None, pair)).split(",")} <= set(EXTRAS)
    elif program == "python" and argv[0] == "-m":
        assert importlib.util.find_spec(argv[1]) is not None
    else:
        assert program in FOREIGN or argv[0] == "-c"


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "python"], ids=ids)
def test_a_block_of_python_compiles(block: Block) -> None:
    compile(block.text, str(block), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def test_the_collector_sees_the_pages() -> None:
    """Not so many that a change of one breaks it, and enough that an empty list doesn't pass."""
    assert len(PAGES) > 30
    assert len(COMMANDS) > 80
    assert {block.page for block, _ in COMMANDS} >= {"README.md", "docs/cli.md", "docs/evaluation.md", "docs/pages.md"}


def test_every_marker_stands_above_a_block() -> None:
    written = sum(len(MARKER.findall(page.read_text(encoding="utf-8"))) for page in PAGES)
    assert written == sum(bool(block.reason) for block in BLOCKS)


def test_every_page_is_in_the_navigation_of_the_site() -> None:
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    named = re.findall(r"[\w./-]+\.md", str(settings["nav"]))
    assert sorted(named) == sorted(["index.md", *(str(page.relative_to(ROOT / "docs")) for page in DOCS)])


def test_docs_cli_names_the_commands_that_there_are_and_has_a_section_for_each() -> None:
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    listed = re.search(r"The commands are ([^;.]*);", page)
    assert listed is not None
    assert sorted(re.findall(r"`([a-z]+)`", listed[1])) == sorted(names_of("judger"))
    titles = " ".join(re.findall(r"^## (.*judger .*)$", page, re.MULTILINE))
    assert set(re.findall(r"judger ([a-z]+)", titles)) == set(names_of("judger"))


def test_the_readme_lists_the_commands_that_there_are() -> None:
    (table,) = [block for block in BLOCKS if block.page == "README.md" and "judger gateway" in block.text]
    assert sorted(words(command)[1] for command in table.commands) == sorted(names_of("judger"))
