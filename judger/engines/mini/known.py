"""What counts alone decide: criteria of form, statements that a rule knows, mentions. Everything else is read."""

from __future__ import annotations

from judger.engines.mini.counts import Counts
from judger.engines.mini.facts import Facts
from judger.engines.mini.form import form_criterion, judge_form
from judger.engines.mini.mentions import mentioned
from judger.engines.mini.rules import ruled
from judger.engines.mini.text import Floats


def known(text: str, negative: bool, counts: Counts, facts: Facts, score: Floats) -> tuple[float, bool] | None:
    """How sure counts are that what the criterion states is so, in [0, 1], and whether a passage shows it.

    None where they can't tell.

    score (u,): how far each unit of the report bears on the criterion.
    """
    demand = form_criterion(text)
    if demand is not None:
        return judge_form(demand, counts.form), False
    if negative and (found := ruled(text, counts)) is not None:
        return found, False
    mention = mentioned(text, facts, score)
    return None if mention is None else (mention, mention > 0.5)
