"""`python -m train.demo`: world, tasks, mid-training I and II, SFT, PPO and GRPO, each judged on held-out tasks.

make train-demo                    at most half an hour on two cores; again to go on after an interruption
python -m train.demo --short       the same path in a few minutes, too short to learn much
python -m train.demo --seeds 3     RL three times, for intervals over seeds too
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from train.demo.plan import ALGORITHMS, FULL, SHORT, Layout, Size, plan
from train.demo.stages import Stage, StageFailed, run_stages, seconds_of
from train.tasks.judging import JudgeDown, local_judge


def main(argv: Sequence[str] | None = None) -> int:
    """0 when done, 1 where a stage failed, 130 when interrupted: the same command goes on."""
    parser = argparse.ArgumentParser(prog="python -m train.demo", description="The whole training path on a CPU.")
    parser.add_argument("--out", type=Path, default=Path("runs/train-demo"), metavar="DIR")
    parser.add_argument("--short", action="store_true", help="a few steps of everything")
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="RL runs of each algorithm")
    args = parser.parse_args(argv)
    if args.seeds < 1:
        parser.error("--seeds: must be at least 1")
    layout = Layout(args.out / "short" if args.short else args.out)
    layout.out.mkdir(parents=True, exist_ok=True)
    try:
        stages = asyncio.run(_run(layout, SHORT if args.short else FULL, args.seeds))
    except (StageFailed, JudgeDown) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on from here", file=sys.stderr)
        return 130
    _show(layout, args.seeds, seconds_of(stages, layout.out))
    return 0


async def _run(layout: Layout, size: Size, seeds: int) -> list[Stage]:
    """Run the stages beside a judger server of their own; the stages."""
    async with local_judge(flags=("--cache", str(layout.out / "verdicts.sqlite"))) as address:
        stages = plan(layout, size, address, seeds)
        await asyncio.to_thread(run_stages, stages, layout.out)
    return stages


def _show(layout: Layout, seeds: int, seconds: dict[str, float]) -> None:
    from train.demo.plots import draw
    from train.demo.table import table
    from train.rl.record import read_metrics

    names = [f"{algo}-{seed}" for seed in range(seeds) for algo in ALGORITHMS]
    draw({name: read_metrics(layout.run(name) / "metrics.jsonl") for name in names}, layout.out / "curves.png")
    text = table(layout, seeds, seconds)
    (layout.out / "table.md").write_text(text, encoding="utf-8")
    print(text)
    print(f"table: {layout.out / 'table.md'}   curves: {layout.out / 'curves.png'}")


if __name__ == "__main__":
    sys.exit(main())
