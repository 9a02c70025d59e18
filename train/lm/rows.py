"""Rows into token ids: plain text, or conversations rendered by the model's own chat template."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from policy.rendering import rendered
from train.lm.faults import Fault

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

__all__ = ["chat_ids", "mix", "passage", "split", "text_ids", "texts"]

Row = Mapping[str, Any]


def chat_ids(tokenizer: PreTrainedTokenizerBase, row: Row) -> tuple[list[int], list[int]]:
    """(ids, mask) of the row's conversation, of equal length; 1 where the assistant writes, its end mark included.

    0 also in the replies that the row calls `slips`, by their places in `messages`: a mistake is no example. Raises
    ValueError where the template's marks do not tell the replies apart.
    """
    coded = tokenizer.apply_chat_template(
        _messages(row), tools=_tools(row), return_dict=True, return_assistant_tokens_mask=True
    )
    ids, mask = list(coded["input_ids"]), list(coded["assistant_masks"])
    slips = set(row.get("slips") or ())
    if not slips:
        return ids, mask
    replies = [place for place, message in enumerate(row["messages"]) if message["role"] == "assistant"]
    spans = [
        [place for place, _ in run] for is_reply, run in groupby(enumerate(mask), lambda pair: pair[1]) if is_reply
    ]
    if len(spans) != len(replies) or not slips <= set(replies):
        raise ValueError(f"{len(replies)} replies stand in {len(spans)} marked places, so slips can't be left out")
    for reply, span in zip(replies, spans, strict=True):
        if reply in slips:
            mask[span[0] : span[-1] + 1] = [0] * len(span)
    return ids, mask


def text_ids(tokenizer: PreTrainedTokenizerBase, row: Row) -> list[int]:
    """The ids of a row for mid-training: its `text` with an end token, or else its conversation."""
    if row.get("text"):
        return [*tokenizer(row["text"], add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
    return list(tokenizer.apply_chat_template(_messages(row), tools=_tools(row), return_dict=True)["input_ids"])


def texts(rows: Iterable[Row], template: str) -> Iterator[str]:
    """What a tokenizer is trained on: the text of each row, conversations with their template around them."""
    from transformers.utils.chat_template_utils import render_jinja_template

    for row in rows:
        if row.get("text"):
            yield row["text"]
        else:
            written, _ = render_jinja_template([_messages(row)], tools=_tools(row), chat_template=template)
            yield from written


def passage(row: Row) -> str:
    """The words of a row alone: its text, or what is said in its conversation."""
    return row["text"] if row.get("text") else "\n".join(m["content"] or "" for m in row["messages"])


def mix(rows: Dataset, weights: Mapping[str, float], seed: int) -> tuple[Dataset, dict[str, int]]:
    """(rows, count by kind): each kind repeated `weight` times, one by default; a fraction is a seeded sample."""
    if "kind" not in rows.column_names:
        if weights:
            raise Fault("--mix: the data has no column kind")
        return rows, {"": len(rows)}
    by_kind: dict[str, list[int]] = {}
    for number, kind in enumerate(rows["kind"]):
        by_kind.setdefault(kind, []).append(number)
    unknown = sorted(weights.keys() - by_kind.keys())
    if unknown:
        raise Fault(f"--mix: the data has no kind {', '.join(unknown)}; it has {', '.join(sorted(by_kind))}")
    draw = random.Random(seed)
    chosen: list[int] = []
    for kind, numbers in sorted(by_kind.items()):
        weight = weights.get(kind, 1.0)
        chosen += numbers * int(weight)
        chosen += draw.sample(numbers, round(len(numbers) * (weight % 1)))
    if not chosen:
        raise Fault("--mix: nothing is left")
    draw.shuffle(chosen)
    mixed = rows.select(chosen)
    return mixed, dict(Counter(mixed["kind"]))


def split(rows: Dataset, share: float, seed: int) -> tuple[Dataset, Dataset]:
    """(training rows, held-out rows); the held-out are `share` of them and at least one."""
    if len(rows) < 2:
        raise Fault("one row cannot be split into training and held-out data")
    parts = rows.train_test_split(test_size=max(1, round(len(rows) * share)), seed=seed)
    return parts["train"], parts["test"]


def _messages(row: Row) -> Sequence[dict[str, Any]]:
    # Arguments are text in a dataset, whose columns have one type; what a message has no such key for is None there.
    return [rendered(message) for message in row["messages"]]


def _tools(row: Row) -> list[dict[str, Any]] | None:
    tools = row.get("tools")
    return json.loads(tools) if isinstance(tools, str) and tools else tools or None
