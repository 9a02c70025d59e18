"""What rules ask about a report, made once for all its criteria; and a criterion without its asides."""

from __future__ import annotations

import re
from dataclasses import dataclass

from judger.engines.mini.citing import Citing, read_citing
from judger.engines.mini.manner import Manner, read_manner
from judger.engines.mini.signals import FormSignals, form_signals

_DIGITS = re.compile(r"\d[\d,]*+")
_ASIDE = re.compile(r"\([^()]{0,600}\)")


@dataclass(frozen=True, slots=True)
class Counts:
    """Everything that rules ask about one report."""

    form: FormSignals
    citing: Citing
    manner: Manner
    numbers: frozenset[str]
    """Its runs of digits, commas of thousands left out: 12.05.1892 holds the year, which is no amount (`facts`)."""

    @classmethod
    def of(cls, report: str, form: FormSignals | None = None) -> Counts:
        """Of any text. form: its signals, where they are known already."""
        citing = read_citing(report)
        numbers = frozenset(run.replace(",", "") for run in _DIGITS.findall(report))
        return cls(form or form_signals(report), citing, read_manner(report, citing.lines), numbers)


def without_asides(text: str) -> str:
    """A criterion without what stands in brackets."""
    return _ASIDE.sub(" ", text).replace("’", "'").strip()
