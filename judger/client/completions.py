"""What a policy wrote, and what it was asked, as the plain texts that are judged, and why there is no reward. Pure.

Libraries hand over a completion as text or as chat messages ({role, content}, content a text or a list of parts).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from judger.errors import InvalidRequest
from judger.prompt.fence import CHAT_MARKS
from judger.types import Judgement, Unscored

__all__ = ["answer_of", "question_of", "report_of", "strip_reasoning", "why_unscored", "without_marks"]

OPEN = re.compile(r"<(think|thinking|reasoning)>", re.IGNORECASE)
CLOSE = re.compile(r"</(?:think|thinking|reasoning)>", re.IGNORECASE)
FINAL_CHANNEL = "<|channel|>final<|message|>"
"""Where the answer begins in the harmony format of gpt-oss."""


def strip_reasoning(text: str) -> str:
    """The text without what was thought aloud: `<think>...</think>` and its like, and harmony's other channels.

    Thoughts earn no credit: "I should mention X" is not X. A closing tag without its opening one ends a thought that
    began in the prompt; an opening tag that is never closed begins one that was cut off. In both cases nothing of the
    thought is left, and a completion of thoughts alone becomes an empty text.
    """
    _, marker, answer = text.rpartition(FINAL_CHANNEL)
    if marker:
        text = answer.partition("<|end|>")[0].partition("<|return|>")[0]
    kept: list[str] = []
    place = 0
    first_open, first_close = OPEN.search(text), CLOSE.search(text)
    if first_close is not None and (first_open is None or first_close.start() < first_open.start()):
        place = first_close.end()
    while (begin := OPEN.search(text, place)) is not None:
        kept.append(text[place : begin.start()])
        end = CLOSE.search(text, begin.end())
        if end is None:
            return "".join(kept).strip()
        place = end.end()
    if place == 0 and not marker:
        return text  # as it is: most completions have no thoughts
    return "".join([*kept, text[place:]]).strip()


def report_of(completion: object, *, reasoning: bool = False, field: str = "completion") -> str:
    """The report in a completion: the text, or of chat messages what the assistant said last.

    With `reasoning` thoughts are kept. Raises InvalidRequest where there is no text in it.
    """
    if isinstance(completion, str):
        text = completion
    else:
        said = [
            _content(message, f"{field}[{i}]")
            for i, message in enumerate(_messages(completion, field))
            if message.get("role") == "assistant"
        ]
        text = next((one for one in reversed(said) if one.strip()), "")
    return text if reasoning else strip_reasoning(text)


def question_of(prompt: object, *, field: str = "prompt") -> str:
    """The query in a prompt: the text, or of chat messages what the user asked; of several turns, all of them."""
    if prompt is None:
        return ""
    if isinstance(prompt, str):
        return prompt
    turns = [
        (str(message.get("role")), _content(message, f"{field}[{i}]"))
        for i, message in enumerate(_messages(prompt, field))
        if message.get("role") not in ("system", "developer")
    ]
    if len(turns) == 1:
        return turns[0][1]
    return "\n\n".join(f"{role}: {text}" for role, text in turns)


def answer_of(query: str, prompt: str, field: str = "query") -> str:
    """The response in a text of prompt and response: what follows the prompt, without the marks that end a turn.

    Such texts are OpenRLHF's queries: decoded from tokens, with special ones, which may stand before the prompt. Raises
    InvalidRequest where the prompt isn't there: to judge prompt and response as one would be another question.
    """
    before, found, after = query.partition(prompt) if prompt else ("", True, query)
    if not found or CHAT_MARKS.sub("", before).strip():
        raise InvalidRequest(field, "does not begin with its prompt, so that the response can't be told from it")
    text = after.rstrip()
    while (marks := list(CHAT_MARKS.finditer(text[-64:]))) and text.endswith(marks[-1].group()):
        text = text[: -len(marks[-1].group())].rstrip()
    return text


def without_marks(text: str) -> str:
    """The text without the marks of its chat template."""
    return CHAT_MARKS.sub("", text).strip()


def why_unscored(judgement: Judgement) -> str:
    """Which criteria have no verdict, and why; empty where all have one."""
    missing = [(one.criterion_id, one.result) for one in judgement.verdicts if isinstance(one.result, Unscored)]
    return "; ".join(
        f"{name} is unscored ({': '.join(filter(None, (result.reason, result.detail)))})" for name, result in missing
    )


def _messages(value: object, field: str) -> Sequence[Mapping[str, object]]:
    if isinstance(value, Mapping):
        value = [value]
    if not isinstance(value, Iterable) or isinstance(value, bytes):
        raise InvalidRequest(field, f"must be a text or a list of chat messages, not {type(value).__name__}")
    messages = list(value)
    for i, message in enumerate(messages):
        if not isinstance(message, Mapping):
            raise InvalidRequest(f"{field}[{i}]", f"must be a chat message, not {type(message).__name__}")
    return messages


def _content(message: Mapping[str, object], field: str) -> str:
    content = message.get("content")
    if content is None:  # a turn that only calls tools
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, Sequence) or isinstance(content, bytes):
        raise InvalidRequest(f"{field}.content", f"must be a text or a list of parts, not {type(content).__name__}")
    texts = []
    for i, part in enumerate(content):
        text = part.get("text") if isinstance(part, Mapping) else part
        if not isinstance(text, str):
            raise InvalidRequest(f"{field}.content[{i}]", "is no text: only texts are judged")
        texts.append(text)
    return "\n\n".join(texts)
