"""A flaw of leaving something out, as the requirement that it be there: "Says nothing about costs" -> "Covers costs".

Such a flaw is present exactly where the requirement is not met; read so, it is judged as well as a requirement is.
Only what opens with an omission, or ends in one ("..., with no word on costs"), is turned: a claim is left as it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from judger.engines.mini.text import Floats
from judger.verdict import Calibration

_OF_IT = (
    r"(?:(?:(?:the|this) )?(?:\w+ )?"
    r"(?:response|answer|report|text|document|essay|article|author|model|section|conclusion)|it)"
)
_SOFT = r"(?:\w+ly |at all |even |once |anywhere )?"
_ANY = (
    r"(?:(?:any|a single|one|much|so much as|even) ){0,2}(?:(?:mention|discussion|account|word|hint) (?:of|about|on) )?"
)
_DOES = (
    "mentions? names? says? states? tells? gives? explains? describes? discuss(?:es)? covers? includes? provides? "
    "lists? address(?:es)? cites? identif(?:y|ies) compares? quotes? defines? shows? offers? acknowledges? considers? "
    "specif(?:y|ies) reports? presents? notes? distinguish(?:es)? links? backs? supports? ties suggests? proposes? "
    "recommends? uses? contains? makes? raises? outlines? clarif(?:y|ies) illustrates? analy[sz]es? reach(?:es)? "
    "connects? evaluates? grounds? gets?~to brings?~up lets?~on looks?~at touch(?:es)?~on deals?~with refers?~to "
    "warns?(?:~of)? points?~out spells?~out sets?~out takes?~up"
)
_LEAVES = (
    "(?:avoids~or~)?ignores? omits? lacks? neglects? disregards? overlooks? skips?(?:~over)? misses leaves~out "
    "passes~over glosses~over drops excludes? bypasses skirts sidesteps leaves~aside leaves~unmentioned "
    "(?:keeps|stays|is|remains)~silent~(?:on|about) is~missing is~without goes~without (?:makes~do|does)~without"
)
_NOTHING = "says contains offers provides has gives tells states includes mentions reports cites names"
_HAS_NO = (
    "contains offers provides gives takes makes has names cites quotes includes lists shows states mentions reports "
    "draws presents describes suggests proposes supplies identifies sets devotes uses discusses carries holds credits "
    "backs illustrates supports"
)
_NONE = "no|none~of~the|none~of~its|not~one|not~a~single|neither|hardly~any|scarcely~any"


def _one_of(words: str) -> str:
    return "(?:" + "|".join(words.split()).replace("~", " ") + ")"


_LEADS = (
    r"(?:does not|doesn't|do not|did not|never|nowhere|cannot|can't|at no point) " + _SOFT + _one_of(_DOES),
    r"(?:fails?|failed|neglects?|forgets?|omits?|declines?) to \w+",
    _one_of(_LEAVES),
    _one_of(_NOTHING) + r" nothing (?:whatever |at all )?"
    r"(?:about|on|of|for|aimed at|by way of|regarding|concerning)",
    _one_of(_HAS_NO) + " " + _one_of(_NONE) + r"(?: (?:mention|word|account|discussion) (?:of|on|about))?",
)
_OPENERS = (
    r"there (?:is|are) (?:no|not one|not a single|nothing (?:on|about))(?: (?:mention|word|account) (?:of|on|about))?",
    r"(?:nothing is said|nothing|no mention is made|no mention|no word is said|no word|not a word) (?:about|of|on)",
    r"without|missing:?|lacking",
)
_LEAD = re.compile(
    rf"(?:(?:{_OF_IT} )?{_SOFT}(?:{'|'.join(_LEADS)})|{'|'.join(_OPENERS)})\b(?: (?:the fact )?that)?[\s:,]+{_ANY}",
    re.IGNORECASE,
)
_PASSIVE = re.compile(
    rf"{_one_of(_NONE)} (.{{4,160}}?) (?:is|are|was|were|gets?|receives?|has been|have been) (.{{3,}})",
    re.IGNORECASE | re.DOTALL,
)
_TAIL = re.compile(
    r"(?:, (?:with|and|but|yet)|;| yet| but| and) "
    r"(?:(?:it )?(?:never|nowhere) \w+"
    r"|(?:with )?(?:no|not one|not a single|nothing (?:on|about))(?: (?:mention of|word on))?"
    r"|without|gives no|offers no|says nothing (?:about|on|of)|omits|leaves out|fails to \w+|does not \w+)[\s:,]+",
    re.IGNORECASE,
)
_LEFT_OUT = re.compile(
    r"(?:\w+ )?leaves (.{4,200}?) (?:out(?: of .{0,80})?|unmentioned|unexplained|unaddressed)\.?$", re.IGNORECASE
)
_CLAIM = re.compile(
    rf"(?:{_OF_IT} )?(?:\w+ly )?"
    r"(?:claims?|states?|asserts?|says|maintains?|declares?|argues?|predicts?|insists?|concludes?|suggests?|den(?:y|ies)"
    r"|tells? (?:the )?readers?|advises?|calls?|treats?|presents itself)\b(?! no\b| nothing\b| not\b)",
    re.IGNORECASE,
)
_IN_ALL = re.compile(r" (?:at all|whatsoever|whatever)(?=[\s.,;]|$)")
LEAST = 8
"""Characters that a turned criterion must hold."""
LONGEST = 600


def turned(text: str) -> str | None:
    """The requirement that the flaw says is not met, None where it is not one of leaving out."""
    body = text.strip().replace("’", "'")
    if not body or len(body) > LONGEST or _CLAIM.match(body):
        return None
    found: str | None = None
    if match := _PASSIVE.match(body):
        found = f"{match.group(1)} is {match.group(2)}"
    elif match := _LEFT_OUT.match(body):
        found = match.group(1)
    elif (match := _LEAD.match(body) or _TAIL.search(body, LEAST)) is not None:
        found = body[match.end() :]
    if found is None or len(found) < LEAST:
        return None
    return f"Covers {_IN_ALL.sub('', found)}"


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of the report for a criterion. is_turned: the answer is to be turned round."""

    text: str
    negative: bool
    is_turned: bool = False


def asked(text: str, *, negative: bool) -> Asked:
    """The criterion as it is read: a flaw of leaving out as its requirement, every other one as it stands."""
    requirement = turned(text) if negative else None
    return Asked(text, negative) if requirement is None else Asked(requirement, False, True)


def as_stated(p: Floats, is_turned: NDArray[np.bool_], calibration: Calibration) -> Floats:
    """p (n, 3) of what was asked -> of what is stated, where is_turned (n,) the answer is turned round.

    Such a flaw is present where its requirement is not met, by the requirement's threshold: log-odds are shifted so
    that this one comes to lie on the flaw's.
    """
    least, most = calibration.negative_threshold, 1 - calibration.positive_threshold
    back = p[:, ::-1].astype(np.float64)
    there = back[:, 1] + back[:, 2]
    up = there * least / (1 - least)
    shifted = up / (up + (1 - there) * most / (1 - most))
    sides = np.stack([(1 - shifted) / np.maximum(1 - there, 1e-12), *[shifted / np.maximum(there, 1e-12)] * 2], 1)
    turned = back * sides / np.maximum((back * sides).sum(1, keepdims=True), 1e-12)
    return np.asarray(np.where(is_turned[:, None], turned, p), np.float32)
