"""`note`: what was learned, with the keys it rests on. What is noted stays when older turns are taken out.

The notes have no state of their own: they stand in the calls of the history, of which nothing is ever lost, and
`policy.context.compaction` reads them there. So a resumed episode has them too.
"""

from __future__ import annotations

from policy.errors import ToolError

__all__ = ["note"]

_MOST, _MOST_CHARS = 20, 600


def note(findings: list[str]) -> str:
    """Note what you have learned, so that it stays with you when older turns are taken out of the conversation.

    Args:
        findings: One to twenty sentences, each a fact with the key of its source, such as "Rebuilt in 1825 [mill#2]".
    """
    kept = [finding for finding in findings if finding.strip()]
    if not kept:
        raise ToolError("There is no finding. Send at least one.")
    if len(kept) > _MOST:
        raise ToolError(f"{len(kept)} findings are too many at once; send at most {_MOST}. Nothing was noted.")
    for number, finding in enumerate(kept, 1):
        if len(finding) > _MOST_CHARS:
            raise ToolError(f"Finding {number} is longer than {_MOST_CHARS} characters. Nothing was noted.")
    return f"Noted: {len(kept)}."
