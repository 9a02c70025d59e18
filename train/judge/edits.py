"""Small changes that turn a true statement into a false one: another name; a negation more or less.

Each function returns None where no rule is sure. What they change must matter, so the callers check that the report
holds what is replaced and not what replaces it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

_MONTHS = """
January February March April May June July August September October November December
"""
MONTHS = _MONTHS.split()
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
NAME = re.compile(r"\b[A-Z][\w'’-]+(?:\s(?:of\s|de\s|van\s|von\s)?[A-Z][\w'’-]+){0,4}")
_NOT_NAMES = frozenset(
    [*MONTHS, *DAYS, "The", "A", "An", "In", "On", "It", "He", "She", "They", "We", "This", "That", "There", "If", "I"]
)

_BE = "am|is|are|was|were"
_MODAL = "can|could|will|would|shall|should|may|might|must"
_PARTICIPLE = r"(?=\s+(?:been|\w+ed|\w+en|made|held|found|seen|had|done|become|met|won|lost|led|sold|paid|sent)\b)"
_AUXILIARY = re.compile(rf"\b(?:{_BE}|{_MODAL}|(?:has|have|had){_PARTICIPLE})\b")
# Past and third person of common verbs; others are left alone, for endings alone do not tell a verb.
_VERBS = """
said:say says:say made:make makes:make took:take takes:take gave:give gives:give went:go goes:go came:come comes:come
saw:see sees:see won:win wins:win lost:lose loses:lose met:meet meets:meet led:lead leads:lead told:tell tells:tell
found:find finds:find got:get gets:get became:become becomes:become began:begin begins:begin wrote:write writes:write
bought:buy buys:buy sold:sell sells:sell paid:pay pays:pay sent:send sends:send built:build builds:build held:hold
holds:hold kept:keep keeps:keep left:leave leaves:leave died:die dies:die lived:live lives:live played:play plays:play
worked:work works:work wanted:want wants:want used:use uses:use called:call asked:ask asks:ask tried:try tries:try
started:start starts:start showed:show shows:show moved:move moves:move joined:join joins:join scored:score scores:score
signed:sign signs:sign refused:refuse refuses:refuse agreed:agree agrees:agree claimed:claim claims:claim helped:help
helps:help received:receive receives:receive included:include includes:include contains:contain contained:contain
increased:increase increases:increase reduced:reduce reduces:reduce caused:cause causes:cause provides:provide
provided:provide requires:require required:require allows:allow allowed:allow produced:produce produces:produce
created:create creates:create developed:develop develops:develop supports:support supported:support improved:improve
improves:improve affects:affect affected:affect believes:believe believed:believe knows:know knew:know thinks:think
thought:think needs:need needed:need wins:win raised:raise raises:raise killed:kill kills:kill arrested:arrest
attended:attend attends:attend launched:launch launches:launch released:release releases:release announced:announce
"""
_VERB = dict(pair.split(":") for pair in _VERBS.split())
_VERB_WORD = re.compile(r"\b(?:" + "|".join(_VERB) + r")\b")
_THIRD = re.compile(r"s$")
# Before these the first verb belongs to a side clause; with those a negation does not simply turn the sense.
_SIDE = re.compile(
    r"\b(?:who|whom|whose|which|that|if|when|while|because|after|before|since|unless|although|where|as)\b"
)
_DELICATE = re.compile(
    r"\b(?:only|no|any|either|neither|nor|few|little|rarely|hardly|seldom|unless|nothing|none)\b", re.I
)
_NEGATION = (
    (re.compile(r"\b(can)not\b"), r"\1"),
    (re.compile(r"\bwon['’]t\b"), "will"),
    (re.compile(r"\bcan['’]t\b"), "can"),
    (re.compile(rf"\b({_BE}|{_MODAL}|has|have|had|does|do|did)(?:n['’]t|\s+not)\b"), r"\1"),
    (re.compile(rf"\b({_BE}|has|have|had)\s+never\b"), r"\1"),
)
MAX_WORDS = 45


def negate(statement: str) -> str | None:
    """The opposite of one plain sentence: a negation taken out where there is one, otherwise put in."""
    if len(statement.split()) > MAX_WORDS or re.search(r"[.!?;]\s+\S|\?", statement) or _DELICATE.search(statement):
        return None
    for pattern, plain in _NEGATION:
        if pattern.search(statement):
            return pattern.sub(plain, statement, count=1)
    if re.search(r"\b(?:not|never|without)\b|n['’]t\b", statement):
        return None
    limit = _SIDE.search(statement)
    end = limit.start() if limit else len(statement)
    auxiliary, verb = _AUXILIARY.search(statement, 0, end), _VERB_WORD.search(statement, 0, end)
    if auxiliary and (not verb or auxiliary.start() < verb.start()):
        return f"{statement[: auxiliary.end()]} not{statement[auxiliary.end() :]}"
    if (
        verb
        and verb.start() > 0
        and verb.group() not in {"left", "found", "used", "called", "required", "shows", "plays"}
    ):
        support = "does" if _THIRD.search(verb.group()) else "did"
        return f"{statement[: verb.start()]}{support} not {_VERB[verb.group()]}{statement[verb.end() :]}"
    return None


def names(text: str) -> list[tuple[int, int]]:
    """Spans of capitalised words that are probably names: not the first word of a sentence on its own."""
    spans = []
    for match in NAME.finditer(text):
        words = match.group().split()
        opens = not text[: match.start()].rstrip(" \"'“‘(").endswith(tuple("abcdefghijklmnopqrstuvwxyz0123456789,;"))
        if words[0] in _NOT_NAMES or (opens and len(words) == 1):
            continue
        spans.append(match.span())
    return spans


def swap_name(statement: str, report: str, others: Sequence[str], rng: random.Random) -> str | None:
    """A name that the report holds becomes one of `others`, of as many words, that it does not hold."""
    spans = [(a, b) for a, b in names(statement) if _holds(report, statement[a:b])]
    if not spans:
        return None
    start, end = rng.choice(spans)
    length = len(statement[start:end].split())
    fitting = [name for name in others if len(name.split()) == length]
    for name in rng.sample(fitting, min(20, len(fitting))):
        if not _holds(report, name):
            return statement[:start] + name + statement[end:]
    return None


def _holds(text: str, phrase: str) -> bool:
    if phrase not in text:
        return False
    return re.search(rf"(?<![\w.,]){re.escape(phrase)}(?!\w|[.,]\d)", text) is not None
