"""Twenty realistic edits of a report of 3,000 words: what `patch` costs against writing the file again.

    python -m tests.benchmarks.agent_patch

The report is made of the bundled collection. Tokens are words, digits and marks of the call's JSON, as most tokenizers
would cut them, give or take a tenth; both ways of editing are counted alike.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from policy.errors import ToolError
from policy.workspace import patch

CHAPTERS = (
    "overview tidal-mill flood-1822 lighthouse harbour herring ferry wind-farm seaweed bakery water climate "
    "government health telegraph"
)
EDITS = Path(__file__).with_name("agent_patch_edits.jsonl")


@dataclass(frozen=True)
class Edited:
    kind: str
    is_right: bool
    tokens: int
    rewrite_tokens: int

    @property
    def saved(self) -> float:
        return 1 - self.tokens / self.rewrite_tokens


def report() -> str:
    corpus = files("policy").joinpath("corpus/skerrow")
    texts = [corpus.joinpath(f"{name}.md").read_text(encoding="utf-8").strip() for name in CHAPTERS.split()]
    return "# The islands: a report\n\n" + "\n\n".join(re.sub(r"^#", "##", text, flags=re.MULTILINE) for text in texts)


def tokens(arguments: dict[str, str]) -> int:
    return len(re.findall(r"[A-Za-z]{1,8}|\d{1,3}|[^\sA-Za-z\d]", json.dumps(arguments, ensure_ascii=False)))


def edit(text: str, wanted: dict[str, str]) -> Edited:
    call = {"command": "patch", "path": "report.md", "anchor": wanted["anchor"], "text": wanted["text"]}
    if wanted["position"] != "replace":
        call["position"] = wanted["position"]
    try:
        place = patch.locate(text, wanted["anchor"])
    except ToolError:
        return Edited(wanted["kind"], wanted["expect"] == "refused", tokens(call), _rewrite(text))
    edited = patch.apply(text, place, wanted["text"], wanted["position"])  # type: ignore[arg-type]
    untouched = edited.startswith(text[: place.start]) and edited.endswith(text[place.end :])
    is_right = wanted["expect"] == "applied" and untouched and edited.count(wanted["want"]) == 1
    return Edited(wanted["kind"], is_right, tokens(call), _rewrite(edited))


def _rewrite(text: str) -> int:
    return tokens({"command": "write", "path": "report.md", "text": text})


def run() -> list[Edited]:
    text = report()
    return [edit(text, json.loads(line)) for line in EDITS.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    done = run()
    print(f"report of {len(report().split()):,} words, {len(done)} edits")
    for one in done:
        print(f"{'right' if one.is_right else 'WRONG'}  {one.tokens:4} of {one.rewrite_tokens:,} tokens  {one.kind}")
    total = 1 - sum(one.tokens for one in done) / sum(one.rewrite_tokens for one in done)
    print(f"tokens saved: {total:.1%} in all, {min(one.saved for one in done):.1%} in the worst case")
