"""The judge's files: `model.safetensors`, `trees.safetensors`, `config.json`, `tokenizer.json`. Nothing is unpickled.

The first holds encoder and reader, the second, a small one, what is fitted on top of them: it alone changes when the
figures do. (Trees in a `model.safetensors` are of an older format, and not read.)

Word embeddings are stored in int8 with a scale for each, everything else in float16, and computed in float32.
`config.json` says the shapes, the calibration, how the weights came about (seed, data digests) and what they were
measured to do.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor

from judger.engines.mini.encoder import Encoder, EncoderShape
from judger.engines.mini.figures import ALL_NAMES
from judger.engines.mini.forest import Forest
from judger.engines.mini.judgeable import Judgeable
from judger.engines.mini.linear import Linear
from judger.engines.mini.mix import Mix
from judger.engines.mini.model import Reader
from judger.engines.mini.text import Floats
from judger.errors import EngineError, InvalidRequest
from judger.verdict import Calibration

FORMAT = 4
FILES = ("model.safetensors", "trees.safetensors", "config.json", "tokenizer.json")
WEIGHTS = Path(__file__).parent / "weights"
"""Where the shipped files lie."""


@dataclass(slots=True)
class Model:
    """Everything that judges. idf (vocabulary,), mean (states,): the mean of the encoder's last states."""

    encoder: Encoder
    reader: Reader
    forest: Forest
    linear: Linear
    mix: Mix
    judgeable: Judgeable
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
    if tuple(config["figures"]) != ALL_NAMES:
        raise ValueError(f"{folder}: trained on other figures than this version computes")
    tensors = load_file(str(folder / "model.safetensors"))
    fitted = load_file(str(folder / "trees.safetensors"))
    shape = EncoderShape(**config["encoder"])
    encoder = Encoder(shape)
    encoder.load_state_dict({**_part(tensors, "encoder."), "words.weight": _unpack(tensors)})
    reader = Reader(shape, encoder.words)
    reader.load_state_dict(_part(tensors, "reader."))
    calibration = config["calibration"]
    return Model(
        encoder=encoder.to(device).eval().requires_grad_(False),
        reader=reader.to(device).eval().requires_grad_(False),
        forest=Forest.of({name: value.numpy() for name, value in _named(fitted, "forest.").items()}),
        linear=Linear.of({name: value.float().numpy() for name, value in _named(fitted, "linear.").items()}),
        mix=Mix.of(config["mix"]),
        judgeable=Judgeable.of(config["judgeable"], fitted["judgeable"].float().numpy()),
        tokenizer=load_tokenizer(folder / "tokenizer.json"),
        idf=tensors["idf"].float().numpy(),
        mean=tensors["mean"].float().to(device),
        calibration=Calibration(**{**calibration, "bias": tuple(calibration["bias"])}),
        config=config,
        digests={name: digest(folder / name) for name in FILES},
    )


def load_from(folder: str | Path | None, device: str = "cpu") -> Model:
    """`load` for a folder that a user named, or the shipped weights.

    Raises:
        InvalidRequest: no such folder.
        EngineError: the files can't be read.
    """
    folder = WEIGHTS if folder is None else Path(folder)
    if not (folder / "config.json").is_file():
        raise InvalidRequest("model", f"{folder} holds no weights of the built-in judge (no config.json)")
    try:
        return load(folder, device)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise EngineError(f"the weights in {folder} can't be read: {error}") from error


def save(
    folder: Path,
    encoder: Encoder,
    reader: Reader,
    forest: Forest,
    linear: Linear,
    mix: Mix,
    judgeable: Judgeable,
    tokenizer: Any,
    idf: Floats,
    mean: Tensor,
    calibration: Calibration,
    about: Mapping[str, Any],
    *,
    base: Path | None = None,
) -> None:
    """Writes the files. `about` goes into config.json: seed, data, figures.

    base: a folder that encoder and reader were loaded from; its file is kept as it is, to the byte.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"encoder.{n}": v.half() for n, v in encoder.state_dict().items() if n != "words.weight"}
    tensors |= {f"reader.{name}": value.half() for name, value in reader.state_dict().items()}
    tensors |= _pack(encoder.words.weight.detach().cpu())
    tensors |= {"idf": torch.from_numpy(np.asarray(idf)).half(), "mean": mean.float().cpu()}
    fitted = {f"forest.{name}": torch.from_numpy(value.copy()) for name, value in forest.tensors().items()}
    fitted |= {f"linear.{name}": torch.from_numpy(value.copy()) for name, value in linear.tensors().items()}
    fitted["judgeable"] = torch.from_numpy(judgeable.weights).half()
    if base is None:
        _write(folder / "model.safetensors", tensors)
    elif not (folder / "model.safetensors").exists() or not base.samefile(folder):
        shutil.copyfile(base / "model.safetensors", folder / "model.safetensors")
    _write(folder / "trees.safetensors", fitted)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "format": FORMAT,
        "encoder": asdict(encoder.shape),
        "figures": list(ALL_NAMES),
        "mix": asdict(mix),
        "judgeable": judgeable.config(),
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


def _write(file: Path, tensors: Mapping[str, Tensor]) -> None:
    save_file({name: value.contiguous() for name, value in tensors.items()}, str(file))
    file.chmod(0o644)


def _pack(words: Tensor) -> dict[str, Tensor]:
    """Rows (vocabulary, width) as int8, each with its scale."""
    scale = words.abs().amax(1).clamp_min(1e-8) / 127
    return {"words": (words / scale[:, None]).round().to(torch.int8), "words.scale": scale}


def _unpack(tensors: dict[str, Tensor]) -> Tensor:
    return tensors["words"].float() * tensors["words.scale"][:, None]


def _named(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name: value.float() for name, value in _named(tensors, prefix).items()}
