"""Settings by the size of a model: `train/configs/presets/NAME.toml`, a table a stage. What is given goes first."""

from __future__ import annotations

import tomllib
from typing import Any

from train.configs import PRESETS

__all__ = ["NAMES", "fitting", "preset", "rl_preset"]

NAMES = ("tiny", "7b", "32b")
_UP_TO = {"tiny": 1e8, "7b": 2e10}
"""Parameters; more than all of these are `32b`."""


def preset(name: str, *stage: str) -> dict[str, Any]:
    """The table of a stage, such as ("midtrain", "1")."""
    found: dict[str, Any] = tomllib.loads((PRESETS / f"{name}.toml").read_text(encoding="utf-8"))
    for part in stage:
        found = found[part]
    return found


def rl_preset(name: str, algo: str) -> dict[str, Any]:
    """The settings of `judger-train rl`: of the algorithm alone, or what both have."""
    found = preset(name)
    table: dict[str, Any] = found.get(f"rl-{algo}") or found["rl"]
    return table


def fitting(model: str) -> str:
    """The preset of a model folder's or hub name's size, by its config alone."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.device("meta"):
        size = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(model)).num_parameters()
    return next((name for name, most in _UP_TO.items() if size <= most), "32b")
