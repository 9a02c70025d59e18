"""A world on disk: documents, the agent's own index of them, authority list, settings, and the facts for checks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from policy.index.build import build
from train.world.documents import Document
from train.world.generate import World
from train.world.size import FULL, Size

__all__ = ["write_settings", "write_world"]

_SYSTEM = (
    "You answer questions from sources. Search, open what fits, then write a short report. "
    "End each statement with \\cite{key}. The registry is the best source."
)
_BRIEF = "Search, open the registry, report. Cite each fact."
_SETTINGS = """\
# How the agent works in this world. Relative paths start where the command is run.
[model]
temperature = 1.0

[agent]
system_prompt = {system}
tools = ["search", "open"]

[agent.budget]
turns = 6
turn_tokens = 256
tool_calls = 6
total_tokens = 20000
seconds = 600

[agent.context]
tokens = 4096

[search]
index = {index}
authority = {authority}
dense = false
max_results = 3
"""


def write_world(world: World, documents: Mapping[str, Sequence[Document]], folder: Path) -> None:
    """Write and index it. What another world left in the folder's documents is taken away."""
    root = folder / "documents"
    wanted = {root / document.path: document for some in documents.values() for document in some}
    for stale in set(root.rglob("*.md")) - set(wanted):
        stale.unlink()
    for path, document in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(document.markdown(), encoding="utf-8")
    (folder / "authority.txt").write_text("registry/\n", encoding="utf-8")
    (folder / "world.json").write_text(
        json.dumps({"seed": world.seed, "entities": [asdict(entity) for entity in world.entities.values()]}, indent=1)
        + "\n",
        encoding="utf-8",
    )
    build(folder / "index.sqlite", root)


def write_settings(folder: Path, path: Path, size: Size = FULL) -> None:
    """The policy's settings for the world in `folder`, with its paths spelled out, and the system prompt beside it."""
    folder = folder.resolve()
    system = folder / "system.txt"
    system.write_text((_BRIEF if size.plain else _SYSTEM) + "\n", encoding="utf-8")
    path.write_text(
        _SETTINGS.format(
            system=json.dumps(str(system)),
            index=json.dumps(str(folder / "index.sqlite")),
            authority=json.dumps(str(folder / "authority.txt")),
        ),
        encoding="utf-8",
    )
