"""The recipe's numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a small causal model is tuned. A step is `rows_per_step` reports with all their criteria."""

    epochs: float = 6.0
    rows_per_step: int = 2
    learning_rate: float = 6e-4
    head_rate: float = 2.0
    """The head's rate, as a multiple."""
    warmup: int = 15
    weight_decay: float = 0.01
    rank: int = 16
    kept_rank: int = 12
    """Of the adapters as they ship: cut down at the end."""
    frozen: int = 6
    """Layers from below that stay as they are."""
    prefix_tokens: int = 600
    """Of a row that is trained on; what is served sees more (`judger.engines.small.rows.PREFIX_TOKENS`)."""
    save_every: int = 30
    measure_every: int = 120
    """Steps between measurements, at checkpoints; the last one is always measured."""
    log_every: int = 10
    seed: int = 0
