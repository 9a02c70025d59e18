"""The blind voting page: one file that asks nobody for anything, and downloads its votes as JSON lines.

Reports are shown as plain text, never as markup; the policy of the page allows its own script and style alone, by their
digests. No system's name is in it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from importlib import resources

from judger.evals.votes import DIMENSIONS, OVERALL, Answer, BlindPair

__all__ = ["voting_page"]

TITLES = {
    Answer.LEFT: "Left is better",
    Answer.RIGHT: "Right is better",
    Answer.BOTH_GOOD: "Both good",
    Answer.BOTH_FAIR: "Both fair",
    Answer.BOTH_POOR: "Both poor",
}


def voting_page(pairs: Sequence[BlindPair]) -> str:
    """The page for these pairs."""
    questions = [{"name": OVERALL, "title": "All in all", "more": "Which of the two would you rather have got?"}]
    for name, words in DIMENSIONS.items():
        title, _, more = words.partition(": ")
        questions.append({"name": name, "title": title, "more": f"{more[0].upper()}{more[1:]}?"})
    data = {
        "set": hashlib.sha256("".join(pair.id for pair in pairs).encode()).hexdigest()[:16],
        "questions": questions,
        "answers": [{"value": answer.value, "title": title} for answer, title in TITLES.items()],
        "pairs": [
            {"id": pair.id, "query": pair.query, "left": pair.left_report, "right": pair.right_report} for pair in pairs
        ],
    }
    # ASCII alone: half a character in a report can't break the file, and no "</script>" can end the block.
    block = json.dumps(data).replace("<", "\\u003c")
    folder = resources.files("judger.evals")
    html, script, style = ((folder / f"vote.{ending}").read_text("utf-8") for ending in ("html", "js", "css"))
    head, tail = (
        html.replace("@SCRIPT@'", f"{_digest(script)}'").replace("@STYLE@'", f"{_digest(style)}'").split("@@DATA@@")
    )
    return head.replace("@@STYLE@@", style) + block + tail.replace("@@SCRIPT@@", script)


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
