"""The judge's files: `model.safetensors`, `config.json`, `tokenizer.json`. Nothing is unpickled.

The encoder is stored in float16 and computed in float32. `config.json` says the shapes, the calibration, how the
weights came about (seed, data digests) and what they were measured to do.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor

from judger.engines.mini.encoder import Encoder, EncoderShape
from judger.engines.mini.features import NAMES
from judger.engines.mini.forest import Forest
from judger.engines.mini.model import Reader, ReaderShape
from judger.engines.mini.text import Floats
from judger.verdict import Calibration

FORMAT = 1
WEIGHTS = Path(__file__).parent / "weights"
"""Where the shipped files lie."""


@dataclass(slots=True)
class Model:
    """Everything that judges. idf (vocabulary,), mean (states,): the mean of the encoder's last states."""

    encoder: Encoder
    readers: list[Reader]
    forest: Forest | None
    tokenizer: Any
    idf: Floats
    mean: Tensor
    calibration: Calibration
    config: dict[str, Any]
    digests: dict[str, str]


def load(folder: Path = WEIGHTS, device: str = "cpu") -> Model:
    """Reads the files of a folder. Raises FileNotFoundError, and ValueError for files of another format."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if config.get("format") != FORMAT:
        raise ValueError(f"{folder}: format {config.get('format')}, this version reads {FORMAT}")
    if tuple(config["figures"]) != NAMES:
        raise ValueError(f"{folder}: trained on other figures than this version computes")
    tensors = load_file(str(folder / "model.safetensors"))
    encoder = Encoder(EncoderShape(**config["encoder"]))
    encoder.load_state_dict(_part(tensors, "encoder."))
    readers = []
    for number in range(config["readers"]):
        reader = Reader(ReaderShape(**config["reader"]))
        reader.load_state_dict(_part(tensors, f"reader.{number}."))
        readers.append(reader.to(device).eval().requires_grad_(False))
    calibration = config["calibration"]
    return Model(
        encoder=encoder.to(device).eval().requires_grad_(False),
        readers=readers,
        forest=_forest(tensors) if config.get("forest") else None,
        tokenizer=load_tokenizer(folder / "tokenizer.json"),
        idf=tensors["idf"].float().numpy(),
        mean=tensors["mean"].float().to(device),
        calibration=Calibration(**{**calibration, "bias": tuple(calibration["bias"])}),
        config=config,
        digests={name: digest(folder / name) for name in ("model.safetensors", "config.json", "tokenizer.json")},
    )


def save(
    folder: Path,
    encoder: Encoder,
    readers: list[Reader],
    forest: Forest | None,
    tokenizer: Any,
    idf: Floats,
    mean: Tensor,
    calibration: Calibration,
    about: Mapping[str, Any],
) -> None:
    """Writes the files. `about` goes into config.json: seed, data, figures."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"encoder.{name}": value.half() for name, value in encoder.state_dict().items()}
    for number, reader in enumerate(readers):
        tensors |= {f"reader.{number}.{name}": value.half() for name, value in reader.state_dict().items()}
    if forest is not None:
        tensors |= {f"forest.{name}": torch.from_numpy(value.copy()) for name, value in forest.tensors().items()}
    tensors |= {"idf": torch.from_numpy(np.asarray(idf)).half(), "mean": mean.float().cpu()}
    file = folder / "model.safetensors"
    save_file({name: value.contiguous() for name, value in tensors.items()}, str(file))
    file.chmod(0o644)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "format": FORMAT,
        "encoder": asdict(encoder.shape),
        "reader": asdict(readers[0].shape),
        "readers": len(readers),
        "forest": forest is not None,
        "figures": list(NAMES),
        "calibration": asdict(calibration),
        **about,
    }
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")


def load_tokenizer(path: Path) -> Any:
    """A tokenizer that neither truncates nor pads."""
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def digest(path: Path) -> str:
    """SHA-256 of a file, 24 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:24]


def _forest(tensors: dict[str, Tensor]) -> Forest:
    parts = {n.removeprefix("forest."): v.numpy() for n, v in tensors.items() if n.startswith("forest.")}
    return Forest.of(parts)


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value.float() for name, value in tensors.items() if name.startswith(prefix)}
