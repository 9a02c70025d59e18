"""The gap between the model that sampled and the one that learns: log-probabilities of the same tokens by both.

PPO's ratio begins at 1 only as far as they agree. Rounding to bfloat16 keeps them thousandths of a nat apart;
stale weights, another template or temperature show as tenths.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from train.rl.config import RLSettings
from train.rl.stop import Stop

__all__ = ["GapExceeded", "check_gap", "gap_of"]


class GapExceeded(Stop):
    """The sampler and the learner are not the same policy. The state before the batch can be saved."""


def gap_of(sampled: Tensor, learned: Tensor, valid: Tensor) -> dict[str, float]:
    """`gap` and `gap_max`: mean and largest absolute difference in nats of the valid tokens."""
    apart = (sampled - learned).abs()[valid].double()
    if not apart.numel():
        return {}
    return {"gap": float(apart.mean()), "gap_max": float(apart.max())}


def check_gap(figures: dict[str, float], settings: RLSettings, say: Callable[[str], None]) -> None:
    """Raises GapExceeded, or says so, where the mean gap is over its bound. NaN is."""
    gap = figures.get("gap", 0.0)
    if gap <= settings.gap_limit:
        return
    text = (
        f"sampler and learner differ by {gap:.3g} nats a token (gap_limit is {settings.gap_limit:g}): "
        "what was sampled is not what would be learned from"
    )
    if settings.on_gap == "stop":
        raise GapExceeded(text)
    say(text)
