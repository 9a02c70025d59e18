"""A toy world in the format of the pipeline's data: towers and mills with facts, and episodes that look them up."""

from __future__ import annotations

import json
import random
from typing import Any

_NAMES = (
    "Alder Birch Cedar Drake Elm Falcon Grove Heron Iris Juniper Kestrel Linden Maple Norwood Osprey Plover Quarry "
    "Raven Sorrel Tamar Umber Violet Willow Yarrow Ashby Barrow Colby Denham Elton Fenwick"
).split()
_KINDS = "bridge mill tower library chapel station".split()
_MATERIALS = "granite oak brick iron limestone slate marble cedar".split()
_RIVERS = "Avon Tweed Severn Wye Teme Dove Esk Ouse Nene Stour".split()
_PEOPLE = "Anna Boris Clara David Edith Frank Greta Henry Ivor Julia".split()
_FAMILIES = "Moss Reed Stone Field Marsh Wood Lake Hill Ford Banks".split()

TOOLS = [
    {"type": "function", "function": {"name": name, "description": "d", "parameters": {
        "type": "object", "properties": {p: {"type": "array"} for p in parameters}}}}
    for name, parameters in (("search", ("queries", "results")), ("open", ("targets",)))
]  # fmt: skip


class Toy:
    """Entities with facts, from a seed."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)

    def entity(self) -> dict[str, Any]:
        r = self._random
        name = f"{r.choice(_NAMES)} {r.choice(_NAMES)}"
        kind = r.choice(_KINDS)
        return {
            "name": f"{name} {kind}",
            "key": f"registry/{name.lower().replace(' ', '-')}-{kind}",
            "opened": str(r.randrange(1700, 1999)),
            "person": f"{r.choice(_PEOPLE)} {r.choice(_FAMILIES)}",
            "material": r.choice(_MATERIALS),
            "river": r.choice(_RIVERS),
        }

    def page(self, e: dict[str, Any]) -> list[str]:
        """Paragraphs of the entity's page."""
        parts = [
            f"The {e['name']} was opened in {e['opened']}.",
            f"The {e['name']} was designed by {e['person']}.",
            f"The {e['name']} is built of {e['material']}.",
            f"The {e['name']} stands on the river {e['river']}.",
        ]
        self._random.shuffle(parts)
        return parts

    def text(self) -> str:
        """A page with questions and answers below, as plain text for mid-training."""
        e, other = self.entity(), self.entity()
        paragraphs = [*self.page(e), *self.page(other), *self.page(e)]
        return "\n\n".join(paragraphs)

    def episode(self) -> dict[str, Any]:
        """A row of the fine-tuning data: question, search, open, report."""
        r = self._random
        e, other = self.entity(), self.entity()
        asked = r.sample(["opened", "person", "material", "river"], 3)
        words = {"opened": "when it was opened", "person": "who designed it", "material": "what it is built of",
                 "river": "which river it stands on"}  # fmt: skip
        query = f"Tell me about the {e['name']}: " + ", ".join(words[a] for a in asked) + "?"
        pages = {x["key"]: [(f"{x['key']}#{i}", p) for i, p in enumerate(self.page(x), 1)] for x in (e, other)}
        found = [(e, *pages[e["key"]][0]), (other, *pages[other["key"]][1])]
        r.shuffle(found)
        shown = "\n\n".join(f"[{key}] {x['name']}\n{text}" for x, key, text in found)
        opened = "\n\n".join(f"[{key}] {text}" for key, text in pages[e["key"]])
        told = [(key, text) for a in asked for key, text in pages[e["key"]] if text.endswith(f" {e[a]}.")]
        report = " ".join(f"{text[:-1]} \\cite{{{key}}}." for key, text in told)
        search = {"queries": [f"the {e['name']}"], "results": 2}
        messages = [
            _message("system", "Answer with a cited report."),
            _message("user", query),
            _call("call_1_0", "search", search),
            _message("tool", f"## the {e['name']}\n\n{shown}\n\n[turn 1 of 8, 7 tool calls left]", "call_1_0"),
            _call("call_2_0", "open", {"targets": [e["key"]]}),
            _message(
                "tool", f"# {e['name']} ({e['key']}.md)\n\n{opened}\n\n[turn 2 of 8, 6 tool calls left]", "call_2_0"
            ),
            _message("assistant", report),
        ]
        return {"messages": messages, "tools": json.dumps(TOOLS), "task": e["key"]}


def _message(role: str, content: str, call: str | None = None) -> dict[str, Any]:
    return {"role": role, "content": content, "reasoning_content": None, "tool_calls": None, "tool_call_id": call}


def _call(call_id: str, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    function = {"name": name, "arguments": json.dumps(arguments)}
    return {**_message("assistant", ""), "tool_calls": [{"id": call_id, "type": "function", "function": function}]}
