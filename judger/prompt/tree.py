"""The prompt as text: a small tree whose trunk all criteria of a report share. Pure functions over package data.

    system, query                 shared by a group (one query, many reports)
      report, fenced              shared by the criteria of a case
        requirement | flaw        how to judge it (two prompts: with one, judges misread negatives) and how to answer
          criterion               one branch each

Two reports are compared by a tree of the same form: the first report is the trunk, every rival a branch.

The instructions follow the Step-DeepResearch report (arXiv 2512.20491), section 4.3.2 and Appendix A: judge only what
the document contains, assume nothing, listed examples are illustrations. The same text is served and trained on.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources

from judger.prompt.fence import FenceKey, break_marks
from judger.types import Case, Label

FILES = (
    "system",
    "query",
    "report",
    "requirement",
    "flaw",
    "answer_verdict",
    "answer_explain",
    "criterion",
)
PAIR_FILES = ("pair_system", "pair_first", "pair_second", "pair_answer")
LABELS = (Label.NOT_SATISFIED, Label.PARTIALLY_SATISFIED, Label.FULLY_SATISFIED)
CUE = "Verdict:"
"""What stands before the label word; the model's answer begins with it."""

SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class LabelWords:
    """The words that name the three labels, in the order of `LABELS`."""

    not_satisfied: str = "not"
    partially_satisfied: str = "partially"
    fully_satisfied: str = "fully"

    def __iter__(self) -> Iterator[str]:
        return iter((self.not_satisfied, self.partially_satisfied, self.fully_satisfied))


@dataclass(frozen=True, slots=True)
class PairWords:
    """The words that name the better of two reports, in the order of `LABELS`: how far the first one holds."""

    second: str = "second"
    equal: str = "equal"
    first: str = "first"

    def __iter__(self) -> Iterator[str]:
        return iter((self.second, self.equal, self.first))


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptText:
    """The tree of one case. A criterion's user message is `query + report + polarity + branch` along its own path."""

    system: str
    query: str
    report: str
    polarities: tuple[str, ...]
    """At most two: the nodes that this case needs."""
    branches: tuple[tuple[int, str], ...]
    """(index into `polarities`, text), one per criterion in order."""
    words: LabelWords | PairWords
    """What the answer is one of."""

    def user(self, index: int) -> str:
        """The whole user message of criterion `index`."""
        polarity, branch = self.branches[index]
        return self.query + self.report + self.polarities[polarity] + branch


@cache
def template(name: str) -> str:
    """The text of `judger/prompt/texts/NAME.txt`."""
    return resources.files("judger").joinpath("prompt", "texts", f"{name}.txt").read_text(encoding="utf-8")


def fill(name: str, **values: str) -> str:
    """The template with its slots filled in one pass, so that a slot's text is never itself read as a template."""

    def value(match: re.Match[str]) -> str:
        return values[match.group(1)]

    return SLOT.sub(value, template(name))


def prompt_text(case: Case, words: LabelWords | None = None, *, fence: FenceKey, explain: bool = False) -> PromptText:
    """The tree of a case. With `explain` the reason is written before the verdict."""
    words = words or LabelWords()
    names = {"not": words.not_satisfied, "partial": words.partially_satisfied, "full": words.fully_satisfied}
    # The words before a criterion end the shared node: a branch is the criterion itself.
    answer = fill("answer_explain" if explain else "answer_verdict", **names).rstrip("\n")
    order: dict[bool, int] = {}
    for criterion in case.criteria:
        order.setdefault(criterion.is_negative, len(order))
    return PromptText(
        system=template("system").strip(),
        query=fill("query", query=case.query.strip() or "(none given)"),
        report=fill("report", fence=fence.line(case.report), report=case.report),
        polarities=tuple(fill("flaw" if negative else "requirement", **names) + answer for negative in order),
        branches=tuple(
            (order[criterion.is_negative], fill("criterion", criterion=criterion.text.strip()).rstrip("\n"))
            for criterion in case.criteria
        ),
        words=words,
    )


def pair_text(case: Case, words: PairWords | None = None, *, fence: FenceKey) -> PromptText:
    """The tree that compares a case's report with others: its criteria's texts are the rivals, one branch each."""
    words = words or PairWords()
    names = {"first": words.first, "second": words.second, "equal": words.equal}
    return PromptText(
        system=template("pair_system").strip(),
        query=fill("query", query=case.query.strip() or "(none given)"),
        report=fill("pair_first", fence=fence.line(case.report), report=case.report),
        polarities=(fill("pair_answer", **names),),
        branches=tuple(
            (0, fill("pair_second", fence=fence.line(rival.text), report=rival.text).rstrip("\n"))
            for rival in case.criteria
        ),
        words=words,
    )


def messages(text: PromptText, index: int) -> list[dict[str, str]]:
    """Criterion `index` as chat messages, for endpoints that take no token ids.

    Nobody knows whether such an endpoint's tokenizer takes the marks of its chat template for text: they are broken.
    """
    return [{"role": "system", "content": text.system}, {"role": "user", "content": break_marks(text.user(index))}]


def digest(*extra: str) -> str:
    """Digest of every template and of whatever else shapes the prompt: 16 hex digits, for `Identity.prompt`."""
    hasher = hashlib.sha256()
    for part in (*(template(name) for name in (*FILES, *PAIR_FILES)), CUE, *extra):
        hasher.update(len(part).to_bytes(8, "big"))
        hasher.update(part.encode())
    return hasher.hexdigest()[:16]
