"""What is refused before any work: the rules for a case, as pure functions over plain values.

The server (`judger.wire`), the client and the file loader share them, so a fault names a field path such as
`criteria[3].weight` and a reason that reads well behind it. A limit is met or the case is refused: nothing is cut.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher

from judger.errors import InvalidRequest
from judger.types import LIMITS, Criterion, Explain, Label, Limits, Options, Role

__all__ = [
    "CASE_KEYS",
    "CRITERION_KEYS",
    "check",
    "check_compare",
    "check_criteria",
    "check_group",
    "check_options",
    "check_texts",
    "count_fault",
    "criteria_faults",
    "full_text",
    "looks_like",
    "misspelt",
    "misspelt_reason",
    "role_and_weight",
    "text_fault",
    "text_faults",
]


WEIGHT_RATIO = 2.0**53
"""Of all weights together to the smallest: what a double still tells apart."""


def role_and_weight(role: Role | None, weight: float | None) -> tuple[Role, float]:
    """The defaults where one or both are left out: a flaw weighs -1, anything else 1, and the sign tells the role."""
    if weight is None:
        weight = -1.0 if role is Role.NEGATIVE else 1.0
    if role is None:
        role = Role.NEGATIVE if weight < 0 else Role.EXPLICIT
    return role, weight


def text_fault(text: str, max_bytes: int, *, may_be_blank: bool = False) -> str | None:
    """What is wrong with a text: empty or blank, more than `max_bytes` of UTF-8, or not encodable. None if nothing."""
    if not may_be_blank and (not text or text.isspace()):
        return "is empty" if not text else "is blank"
    # An ASCII string knows that it is one: the usual report is never encoded here.
    if text.isascii():
        size = len(text)
    else:
        try:
            size = len(text.encode())
        except UnicodeEncodeError as error:
            return f"character {error.start} is a lone surrogate ({text[error.start]!r}), which is no Unicode text"
    if size > max_bytes:
        return f"has {size:,} bytes of UTF-8, more than the limit of {max_bytes:,}"
    return None


def count_fault(number: int, limit: int) -> str | None:
    """What is wrong with the length of a list of criteria or reports. None if nothing."""
    if number == 0:
        return "is empty: there is nothing to judge"
    return f"has {number:,} entries, more than the limit of {limit:,}" if number > limit else None


def criteria_faults(
    criteria: Sequence[Criterion], limits: Limits = LIMITS, *, monitors: bool = False
) -> Iterator[tuple[str, str]]:
    """(field path, reason) for everything wrong with a rubric; with `monitors` a weight may be zero."""
    if fault := count_fault(len(criteria), limits.criteria):
        yield "criteria", fault
        return
    seen: dict[str, int] = {}
    sizes: list[float] = []
    for i, criterion in enumerate(criteria):
        identifier, weight = criterion.id, criterion.weight
        if fault := text_fault(identifier, limits.criterion_bytes):
            yield f"criteria[{i}].id", fault
        elif (first := seen.setdefault(identifier, i)) != i:
            yield f"criteria[{i}].id", f"{_shown(identifier)} is a duplicate: criteria[{first}] has it already"
        if fault := text_fault(criterion.text, limits.criterion_bytes):
            yield f"criteria[{i}].text", fault
        if criterion.axis and (fault := text_fault(criterion.axis, limits.criterion_bytes)):
            yield f"criteria[{i}].axis", fault
        if not math.isfinite(weight):
            yield f"criteria[{i}].weight", f"must be a finite number, not {weight}"
        elif weight == 0 and monitors:
            if criterion.fatal:
                yield f"criteria[{i}].fatal", "a monitor (weight 0) decides nothing, so it can't be fatal"
        elif weight == 0:
            yield f"criteria[{i}].weight", "must not be zero: leave the criterion out instead"
        elif weight < 0 and criterion.role is not Role.NEGATIVE:
            yield f"criteria[{i}].weight", f"is negative ({weight:g}), but the role is {criterion.role}"
        elif weight > 0 and criterion.role is Role.NEGATIVE:
            yield f"criteria[{i}].weight", f"is positive ({weight:g}), but the role is negative"
        else:
            sizes.append(abs(weight))
        if criterion.fatal and criterion.role is not Role.NEGATIVE:
            yield f"criteria[{i}].fatal", f"only a negative criterion can be fatal, but the role is {criterion.role}"
    # The reward is a ratio of their sums, over whichever of them were scored: beyond this a sum loses the smallest, and
    # farther out the ratio is infinite.
    if sizes and not (math.isfinite(total := sum(sizes)) and total / min(sizes) <= WEIGHT_RATIO):
        yield "criteria", f"the weights differ too much: their sum is more than {WEIGHT_RATIO:.0e} times the smallest"


def text_faults(query: str, reports: Mapping[str, str], limits: Limits = LIMITS) -> Iterator[tuple[str, str]]:
    """(field path, reason) for everything wrong with a query, and with reports by the name of their field."""
    if fault := text_fault(query, limits.query_bytes, may_be_blank=True):
        yield "query", fault
    for field, report in reports.items():
        if fault := text_fault(report, limits.report_bytes):
            yield field, fault


def check_texts(query: str, reports: Mapping[str, str], limits: Limits = LIMITS) -> None:
    """Raises InvalidRequest for the first of the `text_faults`."""
    for field, reason in text_faults(query, reports, limits):
        raise InvalidRequest(field, reason)


def check_criteria(criteria: Sequence[Criterion], limits: Limits = LIMITS) -> None:
    """Raises InvalidRequest for the first of the `criteria_faults`."""
    for field, reason in criteria_faults(criteria, limits):
        raise InvalidRequest(field, reason)


def check(query: str, report: str, criteria: Sequence[Criterion], limits: Limits = LIMITS) -> None:
    """Raises InvalidRequest for the first fault of a case."""
    check_texts(query, {"report": report}, limits)
    check_criteria(criteria, limits)


def check_group(query: str, reports: Sequence[str], criteria: Sequence[Criterion], limits: Limits = LIMITS) -> None:
    """Raises InvalidRequest for the first fault of a group: one query and rubric, several reports."""
    if fault := count_fault(len(reports), limits.group_reports):
        raise InvalidRequest("reports", fault)
    check_texts(query, {f"reports[{i}]": report for i, report in enumerate(reports)}, limits)
    check_criteria(criteria, limits)


def check_compare(
    query: str, report_a: str, report_b: str, criteria: Sequence[Criterion], limits: Limits = LIMITS
) -> None:
    """Raises InvalidRequest for the first fault of a comparison. Its rubric may be empty."""
    check_texts(query, {"report_a": report_a, "report_b": report_b}, limits)
    if criteria:
        check_criteria(criteria, limits)


def check_options(options: Options, limits: Limits = LIMITS) -> None:
    """Raises InvalidRequest for a number out of its range, and for an option that nothing would look at."""
    margin, trials, explain = options.explain_margin, options.trials, options.explain
    if not 0.0 <= margin <= 1.0:
        raise InvalidRequest("explain_margin", f"must lie in [0, 1], not {margin}")
    if not 1 <= trials <= limits.trials:
        raise InvalidRequest("trials", f"must lie between 1 and {limits.trials}, not {trials}")
    if margin and explain is not Explain.UNDER_MARGIN:
        raise InvalidRequest("explain_margin", f"says which criteria explain=under_margin is for, not {explain}")
    if trials > 1 and explain is Explain.NEVER:
        raise InvalidRequest("trials", "are of written reasons (explain): without one a verdict is the same every time")


def _shown(text: str, width: int = 60) -> str:
    return repr(text if len(text) <= width else text[: width - 3] + "...")


# Keys: a misspelt `wieght` would be carried along unread, and its criterion weigh 1.

CRITERION_KEYS = ("text", "weight", "role", "axis", "fatal")
CASE_KEYS = ("query", "report", "criteria", "language")
OTHER_KEYS = frozenset(
    "id label criterion points tags description explanation source meta topic domain prompt rubrics rubric reports "
    "completion".split()
)
"""What is read in some format, or carried along so often that it is no slip."""

LIKENESS = 0.8


def misspelt(values: Mapping[str, object], names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """(key, the name that it looks like) for keys that nobody reads, where that name itself is missing."""
    strange = [key for key in values if isinstance(key, str) and key not in OTHER_KEYS]
    names = tuple(names)
    for name in names:
        if name not in values:
            yield from ((key, name) for key in strange if key not in names and looks_like(key, name))


def looks_like(key: str, name: str) -> bool:
    """Whether a key is a name of ours but for its case, a letter or two, or their order."""
    key = key.strip().lower()
    if abs(len(key) - len(name)) > 2:
        return False
    return key == name or SequenceMatcher(None, key, name, autojunk=False).ratio() >= LIKENESS


def misspelt_reason(name: str) -> str:
    """What is said of such a key."""
    return f"is not read; is {name} meant? (with a {name} beside it this key is carried along)"


def full_text(text: str, values: Mapping[str, object], label: Label | None = None) -> str:
    """A criterion's text with the `description` or `explanation` beside it: a title alone says little.

    Where there is no text it is the text. Beside a label an explanation may be the labeller's reason, and is not read.
    """
    told = (values.get(name) for name in ("description",) + (("explanation",) if label is None else ()))
    more = next((value.strip() for value in told if isinstance(value, str) and value.strip()), "")
    title = text.strip()
    if not more or more == title:
        return text
    if not title:
        return more
    return f"{title}{'' if title.endswith(('.', ':', '?', '!', '。', '：')) else ':'} {more}"
