"""The prompt as token ids, piece by piece, and the label tokens. Shared by the torch and the vLLM engine.

The ids of the pieces are the truth: a criterion's lone prompt is their concatenation along its path, so a shared
prefix never depends on how a tokenizer would merge across a boundary. What users wrote (query, report, criterion) is
tokenised with special tokens off: a report that spells `<|im_end|>` gets plain characters (see `plain_ids`).
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Generic, TypeVar

from judger import prompt
from judger.errors import EngineError
from judger.prompt import CUE, LabelWords, PairWords, PromptText
from judger.prompt.fence import FenceKey, process_key
from judger.types import Case

__all__ = ["LabelTokens", "Prompter", "Tree"]

CANDIDATES = (
    LabelWords(),
    LabelWords("no", "partly", "fully"),
    LabelWords("No", "Partly", "Yes"),
    LabelWords("none", "partial", "full"),
    LabelWords("no", "part", "yes"),
    LabelWords("none", "some", "all"),
    LabelWords("C", "B", "A"),
    LabelWords("0", "1", "2"),
)
"""Words for the labels, best first: the first three that are single, distinct tokens are used."""

PAIR_CANDIDATES = (PairWords(), PairWords("B", "C", "A"), PairWords("2", "0", "1"))
"""The same for the better of two reports."""

Words = TypeVar("Words", LabelWords, PairWords)
SLOT = "USERTEXTGOESHERE"
PLAIN = {"add_special_tokens": False, "split_special_tokens": True, "verbose": False}


@dataclass(frozen=True, slots=True)
class LabelTokens(Generic[Words]):
    """What is read at a branch's last position: `ids` follow the order of the words, as their class has it."""

    words: Words
    ids: tuple[int, int, int]
    cue: tuple[int, ...]
    """The tokens of the answer cue, after which a label is due."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """Token ids of one case's prompt tree."""

    shared: tuple[int, ...]
    """Instructions and query."""
    report: tuple[int, ...]
    polarities: tuple[tuple[int, ...], ...]
    branches: tuple[tuple[int, tuple[int, ...]], ...]
    """(index into `polarities`, ids up to and with the answer cue), one per criterion in order."""

    def lone(self, index: int) -> tuple[int, ...]:
        """The whole prompt of criterion `index`, as if it were alone."""
        polarity, branch = self.branches[index]
        return self.shared + self.report + self.polarities[polarity] + branch

    def lone_tokens(self, index: int) -> int:
        """Length of `lone(index)`."""
        polarity, branch = self.branches[index]
        return len(self.shared) + len(self.report) + len(self.polarities[polarity]) + len(branch)

    @property
    def tokens(self) -> int:
        """Tokens to compute when nothing is cached, each once."""
        parts: Iterable[tuple[int, ...]] = (*self.polarities, *(ids for _, ids in self.branches))
        return len(self.shared) + len(self.report) + sum(map(len, parts))


class Prompter:
    """Turns cases into trees of token ids for one tokenizer. Safe in any thread."""

    def __init__(self, tokenizer: Any, *, name: str, fence: FenceKey | None = None) -> None:
        """`tokenizer` is one of transformers'; `name` goes into errors; `fence`: by default this process's own key.

        Raises EngineError without label tokens.
        """
        self._tokenizer = tokenizer
        self._fence = fence or process_key()
        self._marks = control_ids(tokenizer)
        # A fast tokenizer holds the special-token switch as state, and plans are made in any thread.
        self._lock = threading.Lock()
        head, tail, folded = chat_frame(tokenizer)
        pair_head, _, _ = chat_frame(tokenizer, "pair_system")
        self.labels = label_tokens(tokenizer, name, CANDIDATES)
        self.pair_labels = label_tokens(tokenizer, name, PAIR_CANDIDATES)
        self._head_ids, self._pair_head_ids, self._tail_ids = map(self._trusted, (head, pair_head, tail))
        self.prompt_digest = prompt.digest(*self.labels.words, *self.pair_labels.words, head, tail, str(folded))
        self.fence_digest = self._fence.digest
        self.tokenizer_digest = tokenizer_digest(tokenizer)
        self.end = end_of_turn(tokenizer)
        """The token that ends an answer: the chat template's, else the tokenizer's own; None without either."""
        self.specials = frozenset(tokenizer.all_special_ids)
        """Tokens that no text holds."""
        self._polarity_ids: dict[str, tuple[int, ...]] = {}

    def tree(self, case: Case, *, explain: bool = False) -> Tree:
        """The tree of a case; its branches end in the answer cue, or with `explain` where the reason begins."""
        text = prompt.prompt_text(case, self.labels.words, fence=self._fence, explain=explain)
        cue = self._untrusted("Reason:") if explain else self.labels.cue
        return self._tree(text, self._head_ids, self._tail_ids + cue)

    def pair_tree(self, case: Case) -> Tree:
        """The tree that compares a case's report with those that its criteria's texts are."""
        text = prompt.pair_text(case, self.pair_labels.words, fence=self._fence)
        return self._tree(text, self._pair_head_ids, self._tail_ids + self.pair_labels.cue)

    def _tree(self, text: PromptText, head: tuple[int, ...], tail: tuple[int, ...]) -> Tree:
        shared = head + self._untrusted(text.query)
        for polarity in text.polarities:
            if polarity not in self._polarity_ids:
                self._polarity_ids[polarity] = self._untrusted(polarity)
        return Tree(
            shared=shared,
            report=self._untrusted(text.report),
            polarities=tuple(self._polarity_ids[polarity] for polarity in text.polarities),
            branches=tuple((polarity, self._untrusted(branch) + tail) for polarity, branch in text.branches),
        )

    def decode(self, ids: Iterable[int]) -> str:
        """Text of generated tokens, special ones left out."""
        with self._lock:
            return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))

    def plain(self, text: str) -> tuple[int, ...]:
        """Token ids of plain text, with special tokens off."""
        return self._untrusted(text)

    def _trusted(self, text: str) -> tuple[int, ...]:
        with self._lock:
            return tuple(self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]) if text else ()

    def _untrusted(self, text: str) -> tuple[int, ...]:
        with self._lock:
            return plain_ids(self._tokenizer, text, self._marks)


def chat_frame(tokenizer: Any, system_name: str = "system") -> tuple[str, str, bool]:
    """What the chat template puts before and after the user's text: (head with the system text, tail, folded).

    `folded` says that the template knows no system role, so that the system text leads the user message. Thinking is
    switched off where the template has a switch, and closed at once where it opens a thought by itself. Without a
    template the text stands alone behind the tokenizer's own opening token.
    """
    system = prompt.template(system_name).strip()
    if not getattr(tokenizer, "chat_template", None):
        opening = tokenizer.bos_token or ""
        return f"{opening if opens_with_bos(tokenizer) else ''}{system}\n\n", "\n\n", True
    folded = False
    try:
        framed = framed_by(tokenizer, [{"role": "system", "content": system}, {"role": "user", "content": SLOT}])
        folded = system not in framed  # some templates drop the role in silence
    except Exception as error:  # whatever the template raises: jinja2's error is not imported here
        if "system" not in str(error).lower():
            raise EngineError(f"the chat template does not render: {error}") from error
        folded = True
    if folded:
        framed = framed_by(tokenizer, [{"role": "user", "content": f"{system}\n\n{SLOT}"}])
    if framed.count(SLOT) != 1:
        raise EngineError("the chat template does not carry the user's text through once, as it is")
    head, tail = framed.split(SLOT)
    if tail.rfind("<think>") > tail.rfind("</think>"):
        tail = f"{tail.rstrip()}\n\n</think>\n\n"
    return head, tail, folded


def framed_by(tokenizer: Any, chat: list[dict[str, str]]) -> str:
    """The chat as the template renders it, up to where the answer begins."""
    return str(tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True, enable_thinking=False))


def end_of_turn(tokenizer: Any) -> int | None:
    """The token that the chat template puts behind an answer, else the tokenizer's end of text.

    They differ where a tokenizer came without its settings: then a text ends where the template never says so.
    """
    end: int | None = tokenizer.eos_token_id
    if not getattr(tokenizer, "chat_template", None):
        return end
    chat = [{"role": "user", "content": "."}, {"role": "assistant", "content": SLOT}]
    try:
        text = str(tokenizer.apply_chat_template(chat, tokenize=False))
    except Exception:  # noqa: BLE001 - whatever a template raises that takes no answers: then it ends none
        return end
    behind = tokenizer(text.rpartition(SLOT)[2].strip(), add_special_tokens=False, verbose=False)["input_ids"]
    return int(behind[0]) if behind and behind[0] in control_ids(tokenizer) else end


def opens_with_bos(tokenizer: Any) -> bool:
    """Whether the tokenizer itself puts its opening token before a text."""
    ids = tokenizer("a", verbose=False)["input_ids"]
    return bool(ids) and tokenizer.bos_token_id is not None and ids[0] == tokenizer.bos_token_id


def plain_ids(tokenizer: Any, text: str, marks: frozenset[int]) -> tuple[int, ...]:
    """Token ids of a text in which nothing is a special token, nor any other of the `marks`.

    The tokenizer's own switch leaves marks that are added but not special (`<think>`), and tokenizers that keep their
    special tokens among the ordinary ones don't mind it at all. So whatever comes out as a mark is cut behind its first
    character, and the pieces are tokenised apart. A mark of a single character can't be cut, and is left.
    """
    ids = tokenizer(text, **PLAIN)["input_ids"]
    if marks.isdisjoint(ids) or not tokenizer.is_fast:
        return tuple(ids)
    pieces = [text]
    while True:
        found = tokenizer(pieces, return_offsets_mapping=True, **PLAIN)
        cut = [
            _cut(piece, [span for token, span in zip(ids, spans, strict=True) if token in marks])
            for piece, ids, spans in zip(pieces, found["input_ids"], found["offset_mapping"], strict=True)
        ]
        if all(len(parts) == 1 for parts in cut):
            return tuple(token for ids in found["input_ids"] for token in ids)
        pieces = [part for parts in cut for part in parts]


def _cut(text: str, spans: Iterable[tuple[int, int]]) -> list[str]:
    """The text in pieces, cut behind the first character of every span that has more than one."""
    edges = [0, *sorted({start + 1 for start, end in spans if end - start > 1}), len(text)]
    return [text[start:end] for start, end in pairwise(edges)]


def control_ids(tokenizer: Any) -> frozenset[int]:
    """Ids of all tokens that were added to the vocabulary, but for white space and the unknown token."""
    added = tokenizer.added_tokens_decoder
    return frozenset(i for i, token in added.items() if str(token).strip() and i != tokenizer.unk_token_id)


def label_tokens(tokenizer: Any, name: str, candidates: Sequence[Words]) -> LabelTokens[Words]:
    """The first label words that are single, distinct tokens after the cue; EngineError where there are none."""
    marks = control_ids(tokenizer)
    for words in candidates:
        for space_in_cue in (False, True):
            cue = plain_ids(tokenizer, CUE + " " * space_in_cue, marks)
            full = [plain_ids(tokenizer, f"{CUE} {word}", marks) for word in words]
            if not all(len(ids) == len(cue) + 1 and ids[:-1] == cue for ids in full):
                continue
            last = (full[0][-1], full[1][-1], full[2][-1])
            if len(set(last)) == 3 and tokenizer.unk_token_id not in last:
                return LabelTokens(words, last, cue)
    tried = "; ".join("/".join(words) for words in candidates)
    raise EngineError(f"{name}: no label words are single tokens of its tokenizer (tried {tried})")


def tokenizer_digest(tokenizer: Any) -> str:
    """Digest of everything that shapes token ids: 16 hex digits."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    text = backend.to_str() if backend is not None else json.dumps(tokenizer.get_vocab(), sort_keys=True)
    return hashlib.sha256(f"{text}\n{getattr(tokenizer, 'chat_template', None)}".encode()).hexdigest()[:16]
