"""The demo's own parts: stages that are not done twice, intervals against known answers, plots and table."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from train.demo import plots, stages
from train.demo.compare import difference, mean, task_means
from train.demo.plan import FULL, SHORT, Layout, plan
from train.demo.stages import Stage, StageFailed, run_stages, seconds_of
from train.demo.table import table


@pytest.fixture
def counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for judger-train that adds its arguments to a file, and fails when told to."""
    folder = tmp_path / "package"
    (folder / "train").mkdir(parents=True)
    (folder / "train" / "__init__.py").touch()
    (folder / "train" / "cli.py").write_text(
        "import sys\nopen(sys.argv[1], 'a').write(sys.argv[2] + '\\n')\nsys.exit('fail' in sys.argv)\n"
    )
    monkeypatch.chdir(folder)
    return tmp_path / "ran"


def test_a_stage_is_run_once_whatever_the_port(tmp_path: Path, counted: Path) -> None:
    def made(port: int, word: str = "b") -> list[Stage]:
        return [
            Stage("a", "first", (str(counted), "a", "--addr", f"localhost:{port}")),
            Stage("b", "second", (str(counted), word)),
            Stage("c", "third", (str(counted), "c")),
        ]

    run_stages(made(1), tmp_path)
    run_stages(made(2), tmp_path)
    assert counted.read_text().split() == ["a", "b", "c"]
    run_stages(made(2, "changed"), tmp_path)
    assert counted.read_text().split() == ["a", "b", "c", "changed", "c"], "what follows a changed stage is run again"
    assert seconds_of(made(3), tmp_path).keys() == {"a", "b", "c"}


def test_a_stage_that_fails_ends_the_run_and_is_not_done(tmp_path: Path, counted: Path) -> None:
    failing = [Stage("a", "first", (str(counted), "a", "fail")), Stage("b", "second", (str(counted), "b"))]
    with pytest.raises(StageFailed, match="ended with 1"):
        run_stages(failing, tmp_path)
    assert counted.read_text().split() == ["a"]
    assert seconds_of(failing, tmp_path) == {}


def test_the_plan_is_one_path_in_two_sizes(tmp_path: Path) -> None:
    full, short = (plan(Layout(tmp_path), size, "localhost:1", 2) for size in (FULL, SHORT))
    assert [stage.name for stage in full] == [stage.name for stage in short]
    assert [stage.name for stage in full][-4:] == ["ppo-1", "evaluate-ppo-1", "grpo-1", "evaluate-grpo-1"]


def _outcome(folder: Path, rewards: dict[str, list[float | None]]) -> Path:
    rows = [{"task": task, "reward": reward} for task, values in rewards.items() for reward in values]
    (folder / "x.episodes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "x.json"


def test_unscored_episodes_are_left_out_of_a_tasks_mean(tmp_path: Path) -> None:
    found = task_means(_outcome(tmp_path, {"a": [1.0, None, 0.0], "b": [None], "c": [0.25]}))
    assert found == {"a": 0.5, "c": 0.25}


def test_the_interval_of_a_mean_is_that_of_theory() -> None:
    random = np.random.default_rng(1)
    rewards = {str(task): value for task, value in enumerate(random.normal(0.4, 0.2, 400))}
    value, low, high = mean([rewards])
    error = 1.96 * 0.2 / 400**0.5
    assert value == pytest.approx(np.mean(list(rewards.values())))
    assert (low, high) == pytest.approx((value - error, value + error), abs=0.004)


def test_a_gain_is_paired_by_task_and_widened_by_seeds_that_disagree() -> None:
    random = np.random.default_rng(2)
    base = {str(task): value for task, value in enumerate(random.normal(0.4, 0.3, 100))}
    raised = {task: value + 0.1 for task, value in base.items()}
    assert difference([base], [raised]) == pytest.approx((0.1, 0.1, 0.1))
    seeds = [{task: value + gain for task, value in base.items()} for gain in (0.0, 0.1, 0.2)]
    value, low, high = difference([base], seeds)
    assert value == pytest.approx(0.1)
    assert low < 0.05 < 0.15 < high
    with pytest.raises(ValueError, match="no task"):
        difference([base], [{"another": 1.0}])


def test_curves_are_drawn_with_gaps_where_nothing_was_measured(tmp_path: Path) -> None:
    steps = [{"step": 1.0, "reward": 0.1, "kl": 0.0}, {"step": 2.0, "kl": 0.01}]
    plots.draw({"ppo-0": steps, "grpo-0": steps[:1], "ppo-1": steps[1:]}, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_the_table_reads_what_the_stages_leave(tmp_path: Path) -> None:
    layout, found = Layout(tmp_path), {"loss": [{"loss": 2.0, "tokens": 3.0}, {"loss": 4.0, "tokens": 1.0}]}
    found["retrieval"] = {"256": {"all": 0.5}, "1024": {"all": 0.25}}
    for stage in ("mid1", "mid2"):
        layout.run(stage).mkdir(parents=True)
        figures = {"chance": 0.125, **dict.fromkeys(("random", "before", "after"), found)}
        (layout.run(stage) / "figures.json").write_text(json.dumps(figures))
    layout.outcome("x").parent.mkdir()
    for number, stage in enumerate(("mid2", "sft", "ppo-0", "grpo-0")):
        reward = {"value": 0.1 * number, "low": 0.0, "high": 1.0}
        outcome = {"reward": reward, "roles": {"explicit": reward}, "figures": {"tool_errors": 0.5}}
        layout.outcome(stage).write_text(json.dumps(outcome))
        rows = [{"task": str(task), "reward": 0.1 * number} for task in range(4)]
        path = layout.outcome(stage).with_suffix(".episodes.jsonl")
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    text = table(layout, 1, {"data": 61.0})
    assert "| mid2 | after | 2.500 | 256: 50%; 1024: 25% | 12% |" in text
    assert "| ppo | 0.200 [0.200, 0.200] | 0.20 | - |" in text
    assert "| sft to grpo | +0.200 [+0.200, +0.200] | yes |" in text
    assert "| data | 61 |" in text


def test_stages_are_judger_trains_own_commands() -> None:
    assert stages.sys is sys  # the interpreter that runs the demo runs its stages
    from train.cli import build_parser

    for stage in plan(Layout(Path("out")), SHORT, "localhost:1", 1):
        assert build_parser().parse_args(stage.argv).run is not None
