"""The curves of the RL runs, a panel each: what was earned, what it cost, and what to watch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

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
    """One figure with a panel for each quantity and a colour for each algorithm.

    A run's name is its algorithm and its seed, such as ppo-0; several seeds are pale lines behind their mean. What was
    not measured at a step is not drawn.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import MaxNLocator

    figure, axes = pyplot.subplots(4, 3, figsize=(15, 15), layout="constrained")
    algorithms: dict[str, list[Steps]] = {}
    for name, steps in runs.items():
        algorithms.setdefault(name.rpartition("-")[0], []).append(steps)
    for axis, (title, keys) in zip(axes.flat, PANELS, strict=True):
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("step")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(alpha=0.3)
        for number, (algorithm, seeds) in enumerate(algorithms.items()):
            for key, style in zip(keys, _STYLES, strict=False):
                lines = [line for steps in seeds if (line := _line(steps, key))]
                if not lines:
                    continue
                for line in lines if len(lines) > 1 else ():
                    axis.plot(line.keys(), line.values(), style, color=f"C{number}", alpha=0.25, linewidth=0.8)
                mean = {
                    step: fmean(line[step] for line in lines if step in line) for step in sorted(set().union(*lines))
                }
                label = f"{algorithm} {key.partition('/')[2] or key}" if len(keys) > 1 else algorithm
                axis.plot(mean.keys(), mean.values(), style, color=f"C{number}", label=label, linewidth=1.4)
        if axis.lines:
            axis.legend(fontsize=7)
        else:
            axis.text(0.5, 0.5, "not measured", ha="center", va="center", transform=axis.transAxes, alpha=0.5)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _line(steps: Steps, key: str) -> dict[float, float]:
    return {step["step"]: step[key] for step in steps if key in step}
