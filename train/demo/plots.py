"""The curves of the RL runs, a panel each: what was earned, what it cost, and what to watch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["draw"]

Steps = Sequence[Mapping[str, float]]

PANELS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("reward of the training episodes", ("reward",)),
    ("satisfied criteria by role", ("role/explicit", "role/implicit", "role/negative")),
    ("KL from the SFT model, nats an episode", ("kl",)),
    ("entropy, nats per token", ("entropy",)),
    ("value loss", ("value_loss",)),
    ("explained variance of the critic", ("explained_variance",)),
    ("length: sampled tokens", ("sampled_tokens",)),
    ("unscored and unreported, share", ("unscored_share", "no_report_share")),
    ("tool errors per episode", ("tool_errors", "malformed_calls")),
    ("hacking watch", ("watch/repetition", "watch/copied", "watch/steering")),
    ("citations per 100 words", ("watch/citations_per_100_words",)),
    ("judge's share of a step's time", ("judge_share",)),
)
_STYLES = ("-", "--", ":")


def draw(runs: Mapping[str, Steps], path: Path) -> None:
    """One figure with a panel for each quantity and a colour for each run, such as ppo-0. Gaps are gaps."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import MaxNLocator

    figure, axes = pyplot.subplots(4, 3, figsize=(15, 15), layout="constrained")
    colours = {name: f"C{number}" for number, name in enumerate(runs)}
    for axis, (title, keys) in zip(axes.flat, PANELS, strict=True):
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("step")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(alpha=0.3)
        for name, steps in runs.items():
            for key, style in zip(keys, _STYLES, strict=False):
                points = [(step["step"], step[key]) for step in steps if key in step]
                if points:
                    label = f"{name} {key.partition('/')[2] or key}" if len(keys) > 1 else name
                    axis.plot(*zip(*points, strict=True), style, color=colours[name], label=label, linewidth=1.2)
        if axis.lines:
            axis.legend(fontsize=7)
        else:
            axis.text(0.5, 0.5, "not measured", ha="center", va="center", transform=axis.transAxes, alpha=0.5)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
