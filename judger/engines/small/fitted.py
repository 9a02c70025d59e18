"""What ships of the `small` judge beside its adapters: `config.json` and what is fitted on top of both readers."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file

from judger.engines.mini.checkpoint import Model
from judger.engines.mini.judgeable import Judgeable
from judger.engines.mini.mix import Mix
from judger.errors import EngineError
from judger.verdict import Calibration

FORMAT = 1
WEIGHTS = Path(__file__).parent / "weights"
"""Where the shipped files lie."""
FILES = ("adapter.safetensors", "judgeable.safetensors", "config.json")


@dataclass(frozen=True, slots=True)
class Fitted:
    """How both readers and the trees are weighed, thresholds, what is left open; digest: of these files."""

    mix: Mix
    judgeable: Judgeable
    calibration: Calibration
    base: str
    digest: str

    @classmethod
    def read(cls, folder: Path) -> Fitted:
        """Raises EngineError for files that are not there or of another format."""
        try:
            config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            if config.get("format") != FORMAT:
                raise ValueError(f"format {config.get('format')}, this version reads {FORMAT}")
            weights = load_file(str(folder / "judgeable.safetensors"))["judgeable"].float().numpy()
            calibration = config["calibration"]
            return cls(
                Mix.of(config["mix"]),
                Judgeable.of(config["judgeable"], weights),
                Calibration(**{**calibration, "bias": tuple(calibration["bias"])}),
                config["base"],
                _digest(folder),
            )
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise EngineError(f"the weights in {folder} can't be read: {error}") from error

    def over(self, model: Model) -> Model:
        """The built-in judge, weighed so."""
        return replace(model, mix=self.mix, judgeable=self.judgeable, calibration=self.calibration)


def _digest(folder: Path) -> str:
    hasher = hashlib.sha256()
    for name in FILES:
        hasher.update((folder / name).read_bytes())
    return hasher.hexdigest()[:24]
