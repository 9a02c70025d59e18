"""YAML for rubrics: the JSON subset of its values, with the line of each. PyYAML is loaded when a YAML file is read.

Nodes are composed and converted here, never constructed by PyYAML: no tag runs code, and an alias, by which a short
file unfolds into a huge one, is refused.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from judger.rubric.place import Faults, Place, join, key_name, parent
from judger.rubric.strict_json import REFUSED

if TYPE_CHECKING:
    import yaml

# PyYAML reads about a megabyte in ten seconds; a rubric of the largest size allowed is written as JSON.
MAX_CHARACTERS = 4 * 2**20


def parse(text: str, faults: Faults) -> tuple[object, Place]:
    """The value of a YAML document and its place; REFUSED where it is none."""
    lines: dict[str, int] = {"": 1}

    def line_of(path: str) -> int:
        while path not in lines:
            path = parent(path)
        return lines[path]

    place = Place(faults, 1, "", line_of)
    try:
        import yaml
    except ModuleNotFoundError:
        faults.add(1, "yaml", "needs PyYAML (pip install 'checklist-judger[judge]'); JSON works without it")
        return REFUSED, place
    if len(text) > MAX_CHARACTERS:
        faults.add(1, "yaml", f"is longer than {MAX_CHARACTERS:,} characters: write it as JSON")
        return REFUSED, place

    class Loader(yaml.SafeLoader):
        def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
            if self.check_event(yaml.AliasEvent):
                event = self.peek_event()  # type: ignore[no-untyped-call]
                raise yaml.composer.ComposerError(
                    None, None, "anchors and aliases are not supported: write the value out", event.start_mark
                )
            return super().compose_node(parent, index)

    try:
        loader = Loader(text)
        node = loader.get_single_node()
        if node is None:
            faults.add(1, "file", "is empty")
            return REFUSED, place
        return _convert(node, "", loader, lines, faults), place
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        faults.add(mark.line + 1 if mark else 1, "yaml", f"is not YAML: {error.problem or error.context}")
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        faults.add(line, "yaml", f"is not YAML: character U+{int(error.character):04X} is not allowed")
    except RecursionError:
        faults.add(1, "yaml", "is nested too deeply")
    return REFUSED, place


def _convert(node: yaml.Node, path: str, loader: yaml.SafeLoader, lines: dict[str, int], faults: Faults) -> object:
    import yaml

    line = node.start_mark.line + 1
    lines.setdefault(path, line)
    if isinstance(node, yaml.SequenceNode):
        return [_convert(child, join(path, i), loader, lines, faults) for i, child in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        values: dict[str, object] = {}
        for key_node, child in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                faults.add(key_node.start_mark.line + 1, path or "yaml", "a key must be a plain text")
                continue
            # As it is written: YAML 1.1 would make `on` and `no` booleans.
            key = key_node.value
            if key in values:
                where = key_node.start_mark.line + 1
                faults.add(where, join(path, key), f"the key {key_name(key)} is given twice")
            values[key] = _convert(child, join(path, key), loader, lines, faults)
        return values
    kind = node.tag.removeprefix("tag:yaml.org,2002:")
    if kind in ("str", "timestamp"):  # a date stays the text that it is
        return node.value
    if kind not in ("int", "float", "bool", "null"):
        faults.add(line, path or "yaml", f"the tag {key_name(node.tag)} is not supported")
        return REFUSED
    try:
        value = loader.construct_object(node)
    except (ValueError, KeyError, IndexError, OverflowError, yaml.YAMLError):
        # PyYAML's own constructors raise all of these on an explicit tag with an unfitting text, as in `!!int x`.
        faults.add(line, path or "yaml", f"{key_name(str(node.value))} is no valid {kind}")
        return REFUSED
    if isinstance(value, float) and not math.isfinite(value):
        faults.add(line, path or "yaml", f"must be a finite number, not {value}")
        return REFUSED
    return value
