"""Command-line flags made from the fields of a pydantic model, so that a setting is written once.

A field gives its flag the name, the type, the choices, the default and the words. What a command line needs beyond
that, the name of the value and the group in the help, stands beside the type: `Annotated[Path, Flag("PEM")]`.
A flag that is left out is None: whoever reads the settings knows what was given, and the model has the defaults.
"""

from __future__ import annotations

import argparse
import types
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

__all__ = ["Flag", "add_flag", "add_flags", "flag_name", "flag_of", "given"]

METAVARS = {int: "N", float: "X", Path: "FILE", str: "TEXT"}


@dataclass(frozen=True, slots=True)
class Flag:
    """What only the command line needs to know of a field."""

    metavar: str = ""
    """What its value is called; by its type where this is empty."""
    group: str = ""
    """The heading in the help."""
    only: tuple[str, ...] = ()
    """Who reads the setting, such as the engines that have it; the help says so. Empty: everyone."""


def flag_name(name: str) -> str:
    """What the flag of a field is called."""
    return "--" + name.replace("_", "-")


def flag_of(field: FieldInfo) -> Flag:
    """What stands beside a field's type."""
    return next((entry for entry in field.metadata if isinstance(entry, Flag)), Flag())


def add_flags(
    parser: argparse.ArgumentParser,
    model: type[BaseModel],
    names: Iterable[str],
    *,
    shown: Collection[str] | None = None,
    title: str = "settings",
) -> dict[str, argparse._ArgumentGroup]:
    """Adds the flags of these fields, and returns their groups by heading.

    Args:
        names: fields of `model`.
        shown: those that the help has; all without it. The others work all the same.
        title: the group of the fields that name none.
    """
    groups: dict[str, argparse._ArgumentGroup] = {}
    for name in names:
        field = model.model_fields[name]
        heading = flag_of(field).group or title
        group = groups.get(heading) or groups.setdefault(heading, parser.add_argument_group(heading))
        add_flag(group, flag_name(name), field, dest=name, is_shown=shown is None or name in shown)
    return groups


def add_flag(
    parser: argparse.ArgumentParser | argparse._ArgumentGroup,
    flag: str,
    field: FieldInfo,
    *,
    dest: str,
    is_shown: bool = True,
) -> None:
    """Adds one flag for a field. A boolean that is off by default has no value: the flag turns it on."""
    kind = _plain(field.annotation)
    words = _help(field) if is_shown else argparse.SUPPRESS
    if kind is bool:
        parser.add_argument(flag, dest=dest, action="store_true", default=None, help=words)
    elif get_origin(kind) is Literal:
        parser.add_argument(flag, dest=dest, choices=get_args(kind), help=words)
    else:
        members = get_args(kind) if get_origin(kind) is tuple else ()
        read = partial(_several, kind=members[0], count=len(members)) if members else kind
        metavar = flag_of(field).metavar or METAVARS[members[0] if members else kind]
        parser.add_argument(flag, dest=dest, type=read, metavar=metavar, help=words)


def given(args: argparse.Namespace, names: Iterable[str]) -> dict[str, Any]:
    """The settings that were given, by the fields' names."""
    return {name: value for name in names if (value := getattr(args, name)) is not None}


def _plain(annotation: Any) -> Any:
    """The type without `| None`."""
    if get_origin(annotation) in (Union, types.UnionType):
        members = [member for member in get_args(annotation) if member is not type(None)]
        return _plain(members[0])
    return annotation


def _several(text: str, *, kind: Callable[[str], Any], count: int) -> tuple[Any, ...]:
    """Values with commas between them. Raises argparse's error."""
    try:
        values = tuple(kind(part) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from error
    if len(values) != count:
        raise argparse.ArgumentTypeError(f"{text!r} has {len(values)} values, not {count} with commas between them")
    return values


def _help(field: FieldInfo) -> str:
    """The description with the default, where that says something. % is argparse's own sign."""
    words = " ".join((field.description or "").split()).replace("%", "%%")
    if only := flag_of(field).only:
        words = f"{', '.join(only)}: {words}"
    default = field.default
    if default in (None, False, "") or "default" in words:
        return words
    shown = ",".join(f"{value:g}" for value in default) if isinstance(default, tuple) else f"{default}"
    return f"{words} (default: {shown})" if words else f"default: {shown}"
