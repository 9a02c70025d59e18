"""mkdocs' hooks: the README is the start page, and links to files outside docs/ become their names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
OUTSIDE = re.compile(r"(?<!!)\[([^\]\n]*)\]\((?:\.\./)*(?:(?:proto|judger|policy|train|tests)/[^)\n]*|deploy/)\)")


def on_files(files: Files, config: Any) -> Files:
    """Adds the README, its links seen from docs/."""
    text = (ROOT / "README.md").read_text(encoding="utf-8").replace("](docs/", "](")
    text = re.sub(r"\[docs/([\w./-]+)\]\(", r"[\1](", text)
    files.append(File.generated(config, "index.md", content=text))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """A page without links to what is not in the site."""
    return OUTSIDE.sub(r"\1", markdown)
