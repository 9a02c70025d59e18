"""A toy data folder and a tiny model made from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.train.lm.toy import Toy

pytest.importorskip("trl")

COUNT = 24


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as `judger-train tasks` writes it, as far as these stages read it."""
    from datasets import Dataset

    folder = tmp_path_factory.mktemp("data")
    toy = Toy(seed=1)
    episodes = [toy.episode() for _ in range(COUNT)]
    pages = [{"text": toy.text(), "kind": "page", "source": "toy"} for _ in range(COUNT)]
    calls = [{"messages": e["messages"], "tools": e["tools"], "text": None, "kind": "episode"} for e in episodes]
    Dataset.from_list(episodes).save_to_disk(str(folder / "sft"))
    Dataset.from_list(pages).save_to_disk(str(folder / "midtrain" / "stage1"))
    Dataset.from_list([{**p, "messages": None, "tools": None} for p in pages] + calls).save_to_disk(
        str(folder / "midtrain" / "stage2")
    )
    return folder


@pytest.fixture(scope="session")
def tokenizer(data: Path):
    """Trained on the toy data, with the bundled chat template."""
    from train.lm.midtrain import train_tiny_tokenizer
    from train.lm.tiny import TinySizes

    return train_tiny_tokenizer(data, TinySizes(vocab=1500))


@pytest.fixture(scope="session")
def model_folder(tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model of 1024 positions with its tokenizer, saved."""
    from train.lm.tiny import TinySizes, make_model

    folder = tmp_path_factory.mktemp("model")
    sizes = TinySizes(hidden=32, layers=2, heads=2, intermediate=32, context=1024)
    make_model(tokenizer, sizes).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
