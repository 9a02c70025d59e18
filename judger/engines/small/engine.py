"""The `small` judge: the built-in one, and a small language model that reads the same passages and has its say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError

from judger.engines.code import code_digest, versions
from judger.engines.find import show_bars
from judger.engines.mini.checkpoint import load_from
from judger.engines.mini.engine import LIBRARIES, MiniEngine, Pair
from judger.engines.mini.text import Floats
from judger.engines.small import adapter
from judger.engines.small.base import check_base
from judger.engines.small.fitted import WEIGHTS, Fitted
from judger.engines.small.model import SmallReader
from judger.engines.small.rows import pack
from judger.errors import EngineError, InvalidRequest


class SmallEngine(MiniEngine):
    """As `MiniEngine`. A criterion's passages are shared with all that are asked of the report in the same call, so
    that its verdict depends on them: `Capabilities.reads_together`."""

    def __init__(self, fitted: Fitted, reader: SmallReader, *, device: str, judge_all: bool) -> None:
        super().__init__(fitted.over(load_from(None, device)), device=device, judge_all=judge_all)
        self.reader = reader
        self.capabilities = replace(self.capabilities, reads_together=True)
        self.identity = replace(
            self.identity,
            engine="small",
            model="small",
            engine_version=versions(*LIBRARIES, "transformers"),
            weights=f"{self.identity.weights} {fitted.base} {fitted.digest}",
            code=code_digest("engines/mini", "engines/small", "engines/packed.py", "engines/tokens.py"),
        )

    @classmethod
    def load(
        cls,
        model: str | None = None,
        *,
        base: Path | None = None,
        device: str = "auto",
        threads: int | None = None,
        judge_all: bool = False,
        bars: bool = False,
    ) -> SmallEngine:
        """The shipped weights, or those of a folder that `judger-train judge` wrote, on their base: a folder that
        `judger get small` made, or the model that they were trained on.

        Raises:
            InvalidRequest: no base there, or no such device.
            EngineError: the files can't be read.
        """
        device = cls.prepared(device, threads)
        weights = WEIGHTS if model is None else Path(model)
        if not (weights / "config.json").is_file():
            raise InvalidRequest("model", f"{weights} holds no weights of the small judge (no config.json)")
        fitted = Fitted.read(weights)
        base = check_base(base, fitted.base)
        show_bars(bars)
        try:
            reader = SmallReader(base)
        except (OSError, ValueError, KeyError, AttributeError, SafetensorError) as error:
            raise EngineError(f"the model in {base} can't be read: {error}") from error
        try:
            adapter.add(weights / "adapter.safetensors", reader)
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise EngineError(f"the weights in {weights} can't be read: {error}") from error
        return cls(fitted, reader.to(device).eval(), device=device, judge_all=judge_all)

    def _deep(self, of_plans: Sequence[tuple[str, Sequence[Pair]]]) -> Floats | None:
        logits = [torch.zeros(0, 3)]
        for query, pairs in of_plans:
            texts = [pair.asked.text for pair in pairs]
            signs = [pair.asked.negative for pair in pairs]
            scores = [pair.evidence.score for pair in pairs]
            first = pairs[0]
            rows = pack(query, first.pages, texts, signs, scores, self.reader.tokenizer, form=first.signals)
            logits += [self.reader(row).cpu() for row in rows]
        return np.asarray(torch.cat(logits).log_softmax(-1).numpy())


__all__ = ["SmallEngine"]
