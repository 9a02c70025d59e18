"""Citations as models write them, found in a report. Code is left alone.

`\\cite{a#1}` is what is asked for; `\\citep`, `[a#1]` and 【a#1】 are written too, with `;`, `，` or `、` between keys,
underscores escaped as TeX wants it, and spaces.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

__all__ = ["MARK", "marked", "outside_code", "replaced"]

# Private-use characters mark a citation while Markdown is rendered; whoever writes them in a report loses them.
_OPEN, _CLOSE = "\ue000", "\ue001"
MARK = re.compile(f"{_OPEN}([^{_OPEN}{_CLOSE}]*){_CLOSE}")
"""A citation in a resolved report: its number, or a question mark."""
_SPACE = r"(?:(?<![ \t])[ \t]++)?"
_TEX = (
    rf"{_SPACE}\\{{1,2}}(?:cite[a-z]{{0,12}}|autocite|parencite|textcite|footcite)\*?(?:\[[^\[\]{{}}\n]{{0,200}}\]){{0,2}}"
    r"\{([^{}]{0,2000})\}"
)
# Up to the first #, and then without a way back: else a bracket full of them is tried from each.
_BRACKET = rf"{_SPACE}[\[【]([^\[\]【】\n#]{{1,400}}#[^\[\]【】\n]{{1,800}}+)[\]】](?!\()"
_CITATION = re.compile(f"{_TEX}|{_BRACKET}")
_BETWEEN = re.compile(r"[,;，；、]")
_ESCAPED = re.compile(r"\\([_#&%~$-])")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_TICKS = re.compile(r"`++")


def marked(number: str) -> str:
    """What stands for a citation until the report is rendered."""
    return f"{_OPEN}{number}{_CLOSE}"


def replaced(report: str, mark: Callable[[Sequence[str]], str], is_known: Callable[[str], bool]) -> str:
    """The report with `mark(keys)` in the place of each citation, the white space before it included.

    Square brackets are also how people write other things, so these are a citation only where all keys are known.
    """

    def put(match: re.Match[str]) -> str:
        keys = _keys(match.group(1) if match.group(1) is not None else match.group(2))
        if match.group(1) is None and not (keys and all(map(is_known, keys))):
            return match.group()
        return mark(keys or [""])

    text = report.replace(_OPEN, "").replace(_CLOSE, "")
    return "".join(part if is_code else _CITATION.sub(put, part) for is_code, part in outside_code(text))


def _keys(written: str) -> list[str]:
    keys = (_ESCAPED.sub(r"\1", key).strip().strip("`'\"[]").strip() for key in _BETWEEN.split(written))
    return [key for key in keys if key]


def outside_code(text: str) -> Iterator[tuple[bool, str]]:
    """(is code, part) of a Markdown text: fenced blocks, and spans between equal runs of backticks."""
    fence, block = "", list[str]()
    for line in text.splitlines(keepends=True):
        opening = _FENCE.match(line)
        if fence:
            block.append(line)
            if opening and opening.group(1).startswith(fence) and not line.strip().strip(fence[0]):
                yield True, "".join(block)
                fence, block = "", []
        elif opening and not (opening.group(1)[0] == "`" and "`" in line[opening.end() :]):
            yield from _spans("".join(block))
            fence, block = opening.group(1), [line]
        else:
            block.append(line)
    if fence:
        yield True, "".join(block)
    else:
        yield from _spans("".join(block))


def _spans(text: str) -> Iterator[tuple[bool, str]]:
    runs = [(run.start(), run.end()) for run in _TICKS.finditer(text)]
    later: dict[int, list[int]] = {}
    for number in range(len(runs) - 1, -1, -1):
        later.setdefault(runs[number][1] - runs[number][0], []).append(number)
    done = number = 0
    while number < len(runs):
        start, end = runs[number]
        same = later[end - start]
        while same and same[-1] <= number:
            same.pop()
        if same:
            stop = runs[same[-1]][1]
            # A span ends with its paragraph.
            if "\n\n" not in text[end:stop]:
                yield False, text[done:start]
                yield True, text[start:stop]
                done, number = stop, same[-1]
        number += 1
    yield False, text[done:]
