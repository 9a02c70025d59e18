"""Configurations of the libraries that scale the training: folders of YAML, checked by those libraries' own loaders."""

from __future__ import annotations

from pathlib import Path

__all__ = ["ACCELERATE", "PRESETS", "VERL"]

ACCELERATE = Path(__file__).parent / "accelerate"
PRESETS = Path(__file__).parent / "presets"
VERL = Path(__file__).parent / "verl"
