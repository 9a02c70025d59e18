"""A stage leaves a core to the others, unless somebody says how many threads it has."""

from __future__ import annotations

import pytest
import torch

from train.cli import build_parser, main
from train.threads import default_threads, use_threads


@pytest.fixture(autouse=True)
def threads_put_back() -> None:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 1), (3, 2), (64, 63)])
def test_all_cores_but_one_compute(cores: int, threads: int) -> None:
    assert default_threads(cores, {}) == threads
    assert default_threads(cores, {"OMP_NUM_THREADS": ""}) == threads
    assert default_threads(cores, {"OMP_NUM_THREADS": "1"}) is None


def test_what_is_asked_for_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    use_threads(3)
    assert torch.get_num_threads() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    use_threads(None)
    assert torch.get_num_threads() == 3  # left as it is


@pytest.mark.parametrize("stage", ["midtrain", "sft", "rl", "evaluate", "judge"])
def test_every_stage_that_computes_has_the_option(stage: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        build_parser().parse_args([stage, "--help"])
    assert "--threads" in capsys.readouterr().out


def test_the_option_reaches_torch_before_the_stage_runs(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["judge", "--data", str(tmp_path), "--out", str(tmp_path / "out"), "--threads", "3"])
    assert code == 2  # there is nothing to train on
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5"])
def test_a_number_that_is_none_is_refused(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["judge", "--data", ".", "--out", "o", "--threads", value])
    assert ended.value.code == 2
    assert "number of threads" in capsys.readouterr().err
