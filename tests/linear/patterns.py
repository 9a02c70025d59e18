"""Every regular expression of the packages, found in their source: none has to be listed to be tested."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
METHODS = frozenset({"match", "fullmatch", "search", "findall", "finditer", "sub", "subn", "split"})
ONCE = frozenset({"match", "fullmatch"})
"""Ways to use a pattern that try it at one place only."""


@dataclass(frozen=True, slots=True)
class Found:
    """A pattern and where it stands: `judger.steering.markup.HEX`, or `policy.web.fetch:188` of one within a call."""

    name: str
    pattern: re.Pattern[str]
    is_tried_once: bool = False
    """It is only ever matched at one place of a text, not looked for in it."""


def sources(packages: tuple[str, ...]) -> Iterator[tuple[str, ast.Module]]:
    """(module, its tree) of each module that imports `re`."""
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            if re.search(r"^\s*(?:import re\b|from re import)", text, re.MULTILINE):
                name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
                yield name, ast.parse(text)


def compiled(packages: tuple[str, ...]) -> list[Found]:
    """The patterns that lie in a module, also within its dicts and tuples, each once."""
    used = _uses(packages)
    found: dict[int, Found] = {}
    for module, _ in sources(packages):
        for key, value in vars(importlib.import_module(module)).items():
            for name, pattern in _held(key, value):
                uses = used.get((module, name), METHODS)
                found.setdefault(id(pattern), Found(f"{module}.{name}", pattern, uses <= ONCE))
    return list(found.values())


def _uses(packages: tuple[str, ...]) -> dict[tuple[str, str], set[str]]:
    """By module and name of a pattern: the methods called on it. A name that is also passed on has all of them."""
    uses: dict[tuple[str, str], set[str]] = {}
    for module, tree in sources(packages):
        home = {
            alias.asname or alias.name: (node.module or "", alias.name)
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        called: dict[ast.expr, str] = {
            node.func.value: node.func.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in METHODS
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                methods = {called[node]} if node in called else METHODS
                uses.setdefault(home.get(node.id, (module, node.id)), set()).update(methods)
    return uses


def _held(name: str, value: Any) -> Iterator[tuple[str, re.Pattern[str]]]:
    if isinstance(value, re.Pattern) and isinstance(value.pattern, str):
        yield name, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _held(f"{name}[{key!r}]", inner)
    elif isinstance(value, (list, tuple)):
        for number, inner in enumerate(value):
            yield from _held(f"{name}[{number}]", inner)


def written(packages: tuple[str, ...]) -> tuple[list[Found], list[str]]:
    """(patterns written within a call such as `re.sub`, functions with a call whose pattern is made at run time)."""
    found: list[Found] = []
    made: list[str] = []
    for module, tree in sources(packages):
        functions = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
                continue
            around = [one.name for one in functions if one.lineno <= node.lineno <= (one.end_lineno or 0)]
            if ast.unparse(node.func.value) != "re" or not (
                node.func.attr in METHODS or (node.func.attr == "compile" and around)
            ):
                continue
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                pattern = re.compile(first.value, _flags(node))
                found.append(Found(f"{module}:{node.lineno}", pattern, node.func.attr in ONCE))
            else:
                made.append(f"{module}.{around[-1] if around else ''}")
    return found, made


def _flags(node: ast.Call) -> int:
    parts = [part for argument in (*node.args[1:], *(k.value for k in node.keywords)) for part in ast.walk(argument)]
    names = {part.attr for part in parts if isinstance(part, ast.Attribute) and ast.unparse(part.value) == "re"}
    return sum(getattr(re, name) for name in names if name.isupper())
