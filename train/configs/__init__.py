"""Configurations of the libraries that scale the training: folders of YAML, checked by those libraries' own loaders."""

from __future__ import annotations

from pathlib import Path

__all__ = ["ACCELERATE", "VERL"]

ACCELERATE = Path(__file__).parent / "accelerate"
VERL = Path(__file__).parent / "verl"
