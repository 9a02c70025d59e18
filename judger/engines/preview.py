"""What the built-in judge can say of criteria without a report: how near they are, and which it may leave open.

Outside its room: no verdict depends on this, and so no judge_id.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from judger.engines.mini.checkpoint import load_from
from judger.engines.mini.compute import encode
from judger.engines.mini.counts import Counts
from judger.engines.mini.facts import Facts
from judger.engines.mini.features import Criterion, make_criterion
from judger.engines.mini.judgeable import describe
from judger.engines.mini.known import known
from judger.engines.mini.text import tokenize
from judger.engines.mini.turn import asked
from judger.rubric.linting.wording import is_english


class Preview:
    """The built-in judge's encoder and its classifier of kinds, on texts alone."""

    def __init__(self, folder: str | Path | None = None, *, threads: int | None = None) -> None:
        """Loads the shipped weights, or those of a folder; `threads` are of the whole process.

        Raises:
            InvalidRequest: no such folder.
            EngineError: the files can't be read.
        """
        if threads is not None:
            torch.set_num_threads(threads)
        self.model = load_from(folder)
        self._known: dict[str, Criterion | None] = {}

    def similarities(self, texts: Sequence[str], others: Sequence[str]) -> list[list[float]]:
        """(texts, others): cosines of the texts' vectors; 0 for a text without a word that the judge reads."""
        with torch.inference_mode():
            product: list[list[float]] = (self._vectors(texts) @ self._vectors(others).T).tolist()
        return product

    def left_open(self, texts: Sequence[str], negative: Sequence[bool]) -> list[str]:
        """Why this judge may leave each criterion unscored; empty where it won't.

        It does so where it is unsure, on the kinds that `judgeable` knows; never on what counts decide in any report.
        """
        questions = [asked(text, negative=sign) for text, sign in zip(texts, negative, strict=True)]
        found = []
        each = zip(texts, negative, questions, self._made([q.text for q in questions]), strict=True)
        for text, sign, question, made in each:
            if made is None or not is_english(text):
                found.append("reads English only")
            elif _is_counted(text, sign):
                found.append("")
            else:
                inputs = describe(made, negative=question.negative)
                is_hard = float(self.model.judgeable.p_hard(inputs[None])[0]) >= self.model.judgeable.hard
                found.append("is near chance on criteria of this kind" if is_hard else "")
        return found

    def _vectors(self, texts: Sequence[str]) -> torch.Tensor:
        nothing = torch.zeros(self.model.encoder.shape.width)
        made = self._made(texts)
        return torch.stack([nothing if one is None else one.core_vector for one in made] or [nothing])

    @torch.inference_mode()
    def _made(self, texts: Sequence[str]) -> list[Criterion | None]:
        new = list(dict.fromkeys(text for text in texts if text not in self._known))
        tokens = [tokenize(text, self.model.tokenizer) for text in new]
        readable = [i for i, t in enumerate(tokens) if len(t)]
        states = iter(encode(self.model.encoder, [tokens[i] for i in readable], "cpu"))
        for text, t in zip(new, tokens, strict=True):
            mean, idf = self.model.mean, self.model.idf
            self._known[text] = make_criterion(text, t, next(states), mean, idf) if len(t) else None
        return [self._known[text] for text in texts]


def _is_counted(text: str, negative: bool) -> bool:
    """Whether counts decide a criterion in any report: those that decide it in an empty one do."""
    nothing = Facts.of("", np.zeros((0, 2), np.int32))
    return known(text, negative, Counts.of(""), nothing, np.zeros(0, np.float32)) is not None


__all__ = ["Preview"]
