"""Holds what a model writes of a criterion to its form: a line of reason, a line of quote, and nothing behind them.

The engine writes `Quote:` as it writes `Verdict:`; the model fills the lines. A line ends with a line break, where the
model ends its turn (left alone, many go on with the next one, in a chat of their own invention), or at a length that
guided decoding has, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from judger.engines.explained import LONGEST_QUOTE, LONGEST_REASON
from judger.engines.tokens import Prompter

__all__ = ["ReasonWriter"]

QUOTE = "Quote:"


@dataclass(frozen=True, slots=True)
class ReasonWriter:
    """Guides the writing behind `Reason:` (`judger.engines.torch.cascade.Guide`), and reads what came of it."""

    prompter: Prompter
    ends: frozenset[int]
    """Tokens that end a turn, by the model or its template."""

    def guide(self, written: Sequence[int]) -> Sequence[int] | None:
        """The last token as it is; the cue of the quote in place of what ends the reason; None behind the quote."""
        is_over = written[-1] in self.ends
        lines = self._lines(written)
        if len(lines) > 1 and lines[1].startswith(QUOTE):
            is_over = is_over or len(lines) > 2 or len(lines[1]) >= len(QUOTE) + LONGEST_QUOTE
            return None if is_over else written[-1:]
        if not lines[0]:  # nothing is said yet
            return None if is_over else written[-1:]
        if len(lines) == 1 and not is_over and len(lines[0]) < LONGEST_REASON:
            return written[-1:]
        before = self._lines(written[:-1])[0]
        rest = lines[0][len(before) :] if lines[0].startswith(before) else ""  # "so.\n" may be one token
        return self.prompter.plain(f"{rest}\n{QUOTE}")

    def text(self, written: Sequence[int]) -> str:
        """What was written in the form that is taught and read; of a reason that did not end, its one line."""
        lines = self._lines(written)
        if len(lines) == 1:
            return f" {lines[0].strip()}"
        return f" {lines[0].strip()}\n{QUOTE} {lines[1].removeprefix(QUOTE).strip() or 'none'}"

    def _lines(self, written: Sequence[int]) -> list[str]:
        """The lines of what was written, one at least, from the first word on."""
        ended = bool(written) and written[-1] in self.ends
        return self.prompter.decode(written[:-1] if ended else written).lstrip().split("\n")
