"""The recipe of the built-in judge, with a tiny random encoder in place of the base one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from judger.engines.mini.checkpoint import WEIGHTS, load, load_tokenizer, save
from judger.engines.mini.encoder import Encoder, EncoderShape
from judger.engines.mini.features import NAMES
from judger.engines.mini.model import OMISSION, ReaderShape, polarity
from judger.verdict import Calibration
from train.judge.calibrate import Held, fit_calibration, steadiest
from train.judge.data import LabelledCase, LabelledCriterion
from train.judge.evidence import Limits, Shard, Tools, choose, read_shard, write_shard
from train.judge.fit import Draw, Recipe, Source, collate, fit, loss, predict, sources
from train.judge.measure import expected_calibration_error, measure

WIDTH = 24
SHAPE = ReaderShape(states=WIDTH, width=16, layers=1, heads=2, dropout=0.0)
THINGS = ("apples", "pears", "trains", "ships", "stars", "rivers", "towers", "songs")
RECIPE = Recipe(epoch=1024, epochs=2, batch=16, learning_rate=5e-3)


def made_cases(count: int = 60, source: str = "toy") -> list[LabelledCase]:
    """Reports that name four of eight things, and a criterion for each of two: one named, one not."""
    rng = np.random.default_rng(0)
    cases = []
    for i in range(count):
        order = [THINGS[j] for j in rng.permutation(len(THINGS))]
        report = f"Report number {i}. " + " ".join(f"We saw many {thing} there." for thing in order[:4])
        criteria = tuple(
            LabelledCriterion(id=f"c{k}", text=f"The text states that: they saw {thing}.", label=label)
            for k, (thing, label) in enumerate(((order[1], 2), (order[6], 0)))
        )
        cases.append(LabelledCase(id=f"{source}-{i}", query="", report=report, criteria=criteria, source=source))
    return cases


@pytest.fixture(scope="module")
def tools() -> Tools:
    torch.manual_seed(0)
    shape = EncoderShape(width=WIDTH, layers=1, heads=2, inner=32)
    idf = np.full(shape.vocabulary, 5.0, np.float32)
    return Tools(Encoder(shape).eval(), load_tokenizer(WEIGHTS / "tokenizer.json"), idf, torch.zeros(WIDTH))


@pytest.fixture(scope="module")
def shard(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Shard:
    folder = tmp_path_factory.mktemp("evidence") / "toy"
    write_shard(folder, made_cases(), tools, "toy")
    return read_shard(folder, WIDTH)


def test_a_shard_holds_one_row_a_criterion_and_is_not_written_twice(shard: Shard, tools: Tools, tmp_path: Path) -> None:
    assert len(shard) == 120
    assert shard.figures.shape == (120, len(NAMES))
    assert shard.at[-1] == len(shard.own) == len(shard.other) == len(shard.marks)
    assert np.isfinite(shard.figures).all()
    write_shard(tmp_path / "s", made_cases(2), tools, "s")
    before = (tmp_path / "s" / "items.json").stat().st_mtime_ns
    write_shard(tmp_path / "s", made_cases(3), tools, "s")
    assert (tmp_path / "s" / "items.json").stat().st_mtime_ns == before


def test_choosing_balances_labels_and_leaves_long_reports_out() -> None:
    cases = [*made_cases(30), LabelledCase(id="x", query="", report="word " * 50, criteria=made_cases(1)[0].criteria)]
    kept = choose(cases, Limits(words=10_000, report_words=40, criteria=20), seed=0)
    labels = [c.label for case in kept for c in case.criteria]
    assert "x" not in {case.id for case in kept}
    assert labels.count(0) == labels.count(2) == 10
    assert kept == choose(cases, Limits(words=10_000, report_words=40, criteria=20), seed=0)


def test_a_report_is_on_one_side_of_the_split_with_what_was_made_of_it(shard: Shard) -> None:
    first, second = sources({"toy": shard, "toy+made": shard}, seed=0)
    assert (first.split == second.split).all()
    assert not first.synthetic
    assert second.synthetic


def test_drawing_gives_both_classes_alike_however_rare_one_is(shard: Shard) -> None:
    (source,) = sources({"toy": shard}, seed=0)
    rare = np.flatnonzero(source.satisfied)[5:]
    source.split[rare] = "calibration"
    draw = Draw([source], RECIPE, np.random.default_rng(0))
    drawn = [bool(s.satisfied[i]) for s, i in (draw() for _ in range(600))]
    assert 0.42 < np.mean(drawn) < 0.58


def test_the_reader_learns_and_a_run_can_be_continued_and_repeated(shard: Shard, tmp_path: Path) -> None:
    found = sources({"toy": shard}, seed=0)
    whole = fit(found, RECIPE, SHAPE, tmp_path / "whole")
    where = np.arange(len(shard))
    p = np.exp(predict(whole, found[0], where))
    assert ((p[:, 2] > 0.5) == found[0].satisfied).mean() > 0.9
    again = fit(found, RECIPE, SHAPE, tmp_path / "whole")
    assert np.allclose(predict(again, found[0], where), np.log(p), atol=1e-5)
    same = fit(found, RECIPE, SHAPE, tmp_path / "same")
    assert np.allclose(predict(same, found[0], where), np.log(p), atol=1e-4)


def test_an_omission_turns_the_answer_round() -> None:
    figures = torch.zeros(2, len(NAMES))
    figures[1, OMISSION] = 1
    turned = polarity(torch.tensor([[1.0, 2.0, 3.0]] * 2), figures)
    assert turned.tolist() == [[1, 2, 3], [3, 2, 1]]


def test_where_people_never_said_partially_the_loss_does_not_care_where_not_ends(shard: Shard) -> None:
    (source,) = sources({"toy": shard}, seed=0)
    i = int(np.flatnonzero(~source.satisfied)[0])
    a, b = (loss(torch.tensor([logits]), [(source, i)], 0.0).item() for logits in ([2.0, 0.0, 0.0], [0.0, 2.0, 0.0]))
    assert a == pytest.approx(b)


def test_padding_does_not_change_what_is_read(shard: Shard) -> None:
    (source,) = sources({"toy": shard}, seed=0)
    torch.manual_seed(0)
    from judger.engines.mini.model import Reader

    reader = Reader(SHAPE).eval()
    alone = reader(*collate([(source, 0)]))
    together = reader(*collate([(source, i) for i in range(20)]))[:1]
    assert torch.allclose(alone, together, atol=1e-5)


def test_calibration_undoes_overconfidence() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(3000)
    labels = np.where(rng.random(3000) < truth, 2, 0)
    sharp = 4 * np.log(truth / (1 - truth))
    logs = np.stack([-np.logaddexp(0, sharp), np.full(3000, -12.0), -np.logaddexp(0, -sharp)], 1)
    no = np.zeros(3000, bool)
    held = Held(logs, labels, no, no, np.ones(3000), np.array(["a", "b"] * 1500), no)
    found = fit_calibration(held, "toy")
    assert 3.0 < found.temperature < 5.0
    assert 0.4 <= found.positive_threshold <= 0.6


def test_a_threshold_is_not_chosen_for_one_lucky_neighbourless_point() -> None:
    grid = np.arange(20) / 20
    scores = np.where((grid >= 0.5) & (grid <= 0.8), 0.7, 0.5)
    scores[3] = 0.9
    assert 0.5 < steadiest(grid, scores.tolist()) < 0.8


def test_calibration_error_is_zero_for_honest_and_large_for_boastful_confidence() -> None:
    p = np.repeat([0.2, 0.8], 500)
    truth = np.concatenate([np.arange(500) < 100, np.arange(500) < 400]).astype(float)
    even = np.ones(1000)
    order = np.random.default_rng(0).permutation(1000)
    p, truth = p[order], truth[order]
    assert expected_calibration_error(p, truth, even) < 0.12
    assert expected_calibration_error(np.full(1000, 0.95), truth, even) == pytest.approx(0.45, abs=0.01)


def test_figures_come_by_source_and_leave_the_noise_out_of_the_mean(shard: Shard) -> None:
    (toy,) = sources({"toy": shard}, seed=0)
    noise = Source("pubmedqa_pqal", shard, toy.labels, toy.negative, toy.split, False, False)
    right = np.where(toy.satisfied[:, None], np.log([0.1, 0.1, 0.8]), np.log([0.8, 0.1, 0.1]))
    figures = measure([toy, noise], {"toy": right, "pubmedqa_pqal": -right}, Calibration())
    assert figures["mean"]["balanced_accuracy"] == 1.0
    assert set(figures["sources"]) == {"toy", "pubmedqa_pqal"}


def test_saved_weights_come_back_as_they_were(tools: Tools, tmp_path: Path) -> None:
    from judger.engines.mini.model import Reader

    reader = Reader(SHAPE)
    hot = Calibration(temperature=2)
    save(tmp_path, tools.encoder, [reader, reader], None, tools.tokenizer, tools.idf, tools.mean, hot, {})
    back = load(tmp_path)
    assert back.calibration == hot
    assert len(back.readers) == 2
    for name, value in reader.state_dict().items():
        assert torch.allclose(back.readers[1].state_dict()[name], value, atol=1e-3), name
