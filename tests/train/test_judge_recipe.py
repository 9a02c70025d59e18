"""The recipe of the built-in judge, with a tiny random encoder in place of the base one."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from judger.engines.mini.checkpoint import WEIGHTS, load, load_tokenizer, save
from judger.engines.mini.encoder import Encoder, EncoderShape
from judger.engines.mini.figures import ALL_NAMES
from judger.engines.mini.forest import Forest
from judger.engines.mini.judgeable import Judgeable
from judger.engines.mini.linear import Linear
from judger.engines.mini.mix import Mix, strict_logit
from judger.engines.mini.model import collate
from judger.engines.mini.passage import Reading
from judger.verdict import Calibration
from train.judge import mini, prepare
from train.judge.calibrate import Held, fit_judgeable, fit_mix, fit_thresholds, hard_kinds
from train.judge.data import FULLY, NOT, DataError, LabelledCase, LabelledCriterion
from train.judge.draw import Lesson, Older, Rubrics, rows
from train.judge.evidence import Limits, Shard, Tools, choose, pages_of, read_shard, write_shard
from train.judge.fit import Recipe, fit, loss, rate, start
from train.judge.forest import Growth
from train.judge.measure import agreement, coverage, expected_calibration_error, rank_agreement

WIDTH = 24
SHAPE = EncoderShape(width=WIDTH, layers=1, heads=2, inner=32)
THINGS = ("apples", "pears", "trains", "ships", "stars", "rivers", "towers", "songs")
RECIPE = Recipe(steps=16, batch=8, learning_rate=2e-3, warmup=2, dropout=0.0, save_every=8)


def made_cases(count: int = 42, source: str = "toy", kind: str = "") -> list[LabelledCase]:
    """Reports that name four of eight things, and criteria: one named, one not, one flaw of leaving out."""
    rng = np.random.default_rng(0)
    cases = []
    for i in range(count):
        order = [THINGS[j] for j in rng.permutation(len(THINGS))]
        report = f"# Report {i}\n\n" + " ".join(f"We saw many {thing} there." for thing in order[:4])
        wanted = [("States that they saw {}.", order[1], 2, 1.0), ("States that they saw {}.", order[6], 0, 1.0)]
        wanted += [("Says nothing about the {}.", order[2], 0, -1.0), ("Claims that they saw {}.", order[5], 0, -1.0)]
        wanted += [("Claims that they saw {}.", order[3], 2, -1.0)] if i % 2 else []
        criteria = tuple(
            LabelledCriterion(
                id=f"c{k}",
                text=text.format(thing),
                label=label,
                weight=weight,
                meta={"group": f"task {i % 21}"} | ({"kind": kind if weight > 0 else "claim_made"} if kind else {}),
            )
            for k, (text, thing, label, weight) in enumerate(wanted)
        )
        cases.append(LabelledCase(id=f"{source}-{i}", query="", report=report, criteria=criteria, source=source))
    return [prepare.as_asked(case) for case in cases]


@pytest.fixture(scope="module")
def tools() -> Tools:
    torch.manual_seed(0)
    idf = np.full(SHAPE.vocabulary, 5.0, np.float32)
    return Tools(Encoder(SHAPE).eval(), load_tokenizer(WEIGHTS / "tokenizer.json"), idf, torch.zeros(WIDTH))


@pytest.fixture(scope="module")
def shard(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Shard:
    folder = tmp_path_factory.mktemp("evidence") / "toy"
    write_shard(folder, made_cases(kind="content"), tools, "toy")
    return read_shard(folder)


def test_a_shard_holds_one_row_a_criterion_and_is_not_written_twice(shard: Shard, tools: Tools, tmp_path: Path) -> None:
    assert len(shard) == 42 * 4 + 21
    assert shard.figures.shape == (len(shard), len(ALL_NAMES))
    assert len(shard.scores(0)) == 5
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


def test_a_flaw_of_leaving_out_is_asked_as_its_requirement_with_the_label_turned(shard: Shard) -> None:
    turned = [item for item in shard.items if item["turned"]]
    assert len(turned) == 42
    assert all(item["label"] == FULLY and not item["negative"] for item in turned)
    assert all(item["criterion"].startswith("Covers the ") for item in turned)


def test_what_is_measured_on_is_not_trained_on() -> None:
    train, held = made_cases(12), made_cases(12, "graded_grading")[:3]
    asked = replace(train[9], query="What did they see?")
    held[0] = replace(held[0], query="What did they see? ", report="Another report.")
    kept = prepare.without_leaks({"toy": [*train[:9], asked, *train[10:]]}, {"graded_grading": held})["toy"]
    assert {case.id for case in train} - {case.id for case in kept} == {"toy-1", "toy-2", "toy-9"}


def lessons(shard: Shard, tools: Tools) -> Rubrics:
    return Rubrics(rows(shard, pages_of(shard, tools.tokenizer), range(len(shard))), seed=0)


def test_classes_weigh_alike_within_a_kind(shard: Shard, tools: Tools) -> None:
    found = lessons(shard, tools).rows
    claims = [row for row in found if row.negative]
    made = sum(row.weight for row in claims if row.satisfied)
    assert made == pytest.approx(sum(row.weight for row in claims if not row.satisfied), rel=0.05)


def test_a_seed_draws_the_same_lessons_again(shard: Shard, tools: Tools) -> None:
    draw = lessons(shard, tools)
    drawn = [draw.begin(3)() for _ in range(1)] + [draw() for _ in range(30)]
    again = [draw.begin(3)() for _ in range(1)] + [draw() for _ in range(30)]
    assert drawn == again
    assert {lesson.label for lesson in drawn} == {0, 2}


def test_older_labels_are_drawn_from_both_classes_alike(tools: Tools) -> None:
    cases = made_cases(30)
    rare = [replace(case, criteria=case.criteria[1:2] if i else case.criteria[:1]) for i, case in enumerate(cases)]
    draw = Older({"toy": rare}, tools.tokenizer, tokens=60)
    labels = [draw.begin(0)().label, *(draw().label for _ in range(300))]
    assert 0.35 < np.mean([label == FULLY for label in labels]) < 0.65


def reading(length: int, seed: int) -> Reading:
    return Reading([101, *random.Random(seed).choices(range(1000, 5000), k=length), 102], 4)


def test_where_labels_do_not_tell_partially_the_loss_does_not_care_where_not_ends() -> None:
    one = [Lesson(reading(5, 0), NOT, False, False)]
    a, b = (loss(torch.tensor([logits]), one, RECIPE).item() for logits in ([2.0, 0.0, 0.0], [0.0, 2.0, 0.0]))
    assert a == pytest.approx(b)


def test_padding_does_not_change_what_is_read(tools: Tools) -> None:
    reader = start(tools.encoder, RECIPE).eval()
    many = [reading(5 + 3 * i, i) for i in range(8)]
    alone, together = reader(*collate(many[:1])), reader(*collate(many))[:1]
    assert torch.allclose(alone, together, atol=1e-5)


def test_the_reader_starts_as_the_encoder_and_shares_its_words(tools: Tools) -> None:
    reader = start(tools.encoder, RECIPE)
    assert not any(name.startswith("words") for name in reader.state_dict())
    weight = tools.encoder.layers[0].up.weight
    assert torch.equal(reader.layers[0].up.weight, weight)


def test_the_rate_rises_then_falls_to_its_floor() -> None:
    recipe = Recipe(steps=100, warmup=10, floor=0.1)
    found = [rate(step, recipe) for step in range(100)]
    assert int(np.argmax(found)) in range(8, 12)
    assert found[-1] == pytest.approx(0.1, abs=0.02)


def test_a_run_can_be_continued_and_repeated(shard: Shard, tools: Tools, tmp_path: Path) -> None:
    draw = lessons(shard, tools)
    before = tools.encoder.words.weight.clone()
    whole = fit(start(tools.encoder, RECIPE), draw.begin, RECIPE, tmp_path / "whole")
    half = replace(RECIPE, steps=8)
    fit(start(tools.encoder, RECIPE), draw.begin, replace(half, floor=1.0, warmup=1), tmp_path / "other")
    fit(start(tools.encoder, RECIPE), draw.begin, RECIPE, tmp_path / "again")
    state = torch.load(tmp_path / "again" / "state.pt", weights_only=True)
    assert state["step"] == RECIPE.steps
    resumed = fit(start(tools.encoder, RECIPE), draw.begin, RECIPE, tmp_path / "again")
    for name, value in whole.state_dict().items():
        assert torch.allclose(resumed.state_dict()[name], value, atol=1e-5), name
    assert torch.equal(tools.encoder.words.weight, before)


def held(count: int = 600) -> Held:
    """Held-out rows on which the trees are right and the reader guesses."""
    rng = np.random.default_rng(0)
    truth = rng.random(count) < 0.4
    negative = np.arange(count) % 3 == 0
    kinds = np.where(np.arange(count) % 5 == 0, "tone", "content").astype(np.str_)
    sure = np.where(truth, 1.5, -1.5) + rng.normal(size=count)
    sure[kinds == "tone"] = rng.normal(size=(kinds == "tone").sum())
    labels = np.where(truth, 2, 0)
    described = np.stack([(kinds == "tone").astype(float), rng.random(count)], 1).astype(np.float32)
    no = np.zeros(count, np.bool_)
    return Held(
        np.log(rng.dirichlet(np.ones(3), count)), sure, labels, negative, kinds, described, no, np.full(count, "none")
    )


def test_who_is_right_weighs_more_and_probabilities_hold() -> None:
    rows_ = held()
    mix = fit_mix(rows_)
    assert mix.requirement[1] > 3 * mix.requirement[0] >= 0
    calibration = fit_thresholds(rows_, "toy")
    p = rows_.mixed(mix, calibration)
    found = agreement(p, rows_.labels, rows_.negative, calibration)
    assert found["balanced_accuracy"] > 0.75
    assert found["ece"] < 0.08


def test_kinds_near_chance_are_left_open_where_the_judge_is_unsure_and_what_is_kept_is_better() -> None:
    rows_ = held()
    mix = fit_mix(rows_)
    calibration = fit_thresholds(rows_, "toy")
    p = rows_.mixed(mix, calibration)
    above = np.where(rows_.negative, p[:, 1] + p[:, 2], p[:, 2])
    hard = hard_kinds(above >= 0.5, rows_, 0.65)
    assert {kind.rstrip("+-") for kind in hard} == {"tone"}
    judgeable = fit_judgeable(p, rows_, calibration, rows_.described, rows_.kinds == "tone")
    is_hard = judgeable.p_hard(rows_.described) >= judgeable.hard
    assert (is_hard == (rows_.kinds == "tone")).mean() > 0.95
    curve = coverage(p, rows_.labels, rows_.negative, is_hard, calibration)
    assert curve[3]["balanced_accuracy"] > curve[0]["balanced_accuracy"] + 0.02


def test_a_turned_row_counts_as_the_flaw_that_is_stated() -> None:
    rows_ = held(6)
    rows_ = replace(rows_, negative=np.zeros(6, np.bool_), labels=np.full(6, FULLY), turned=np.ones(6, np.bool_))
    assert (rows_.stated.labels == NOT).all()
    assert rows_.stated.negative.all()
    p = rows_.mixed(fit_mix(rows_), Calibration())
    asked = replace(rows_, turned=np.zeros(6, np.bool_)).mixed(fit_mix(rows_), Calibration())
    assert p == pytest.approx(asked[:, ::-1], abs=1e-6)


def test_the_strict_bit_of_a_flaw_is_any_trace() -> None:
    logs = np.log(np.array([[0.5, 0.4, 0.1]] * 2))
    of_requirement, of_flaw = strict_logit(logs, np.array([False, True]))
    assert of_flaw == pytest.approx(0.0, abs=1e-6)
    assert of_requirement < -2


def test_a_threshold_is_the_rate_of_its_sign() -> None:
    rows_ = held()
    found = fit_thresholds(rows_, "toy")
    assert found.positive_threshold == pytest.approx(rows_.satisfied[~rows_.negative].mean(), abs=1e-3)
    assert found.negative_threshold == pytest.approx(rows_.satisfied[rows_.negative].mean(), abs=1e-3)


def test_calibration_error_is_zero_for_honest_and_large_for_boastful_confidence() -> None:
    p = np.repeat([0.2, 0.8], 500)
    truth = np.concatenate([np.arange(500) < 100, np.arange(500) < 400]).astype(float)
    mixed = np.random.default_rng(0).permutation(1000)
    assert expected_calibration_error(p[mixed], truth[mixed]) < 0.12
    assert expected_calibration_error(np.full(1000, 0.95), truth[mixed]) == pytest.approx(0.45, abs=0.01)


def test_pairs_of_reports_of_one_task_are_compared() -> None:
    found = rank_agreement(["a", "a", "b", "b"], np.array([1, 0, 1, 1]), np.array([0.9, 0.2, 0.1, 0.3]))
    assert found == {"pairs": 1.0, "same": 1.0}


def test_saved_weights_come_back_as_they_were(tools: Tools, tmp_path: Path) -> None:
    reader = start(tools.encoder, RECIPE)
    hot = Calibration(temperature=2)
    forest = Forest.of(
        {
            "shape": np.array([0.5, 0], np.float32),
            **{name: np.zeros(1, np.float32) for name in ("feature", "threshold", "left", "right", "value", "root")},
        }
    )
    mix, open_ = Mix((1.0, 0.5, 0.0, 0.1), (0.2, 0.3, -0.5, 0.4)), Judgeable(np.ones(5, np.float32), 0.5, 0.1)
    linear = Linear(np.ones(1, np.float32), np.full(1, 2, np.float32), np.arange(6, dtype=np.float32).reshape(2, 3))
    save(tmp_path, tools.encoder, reader, forest, linear, mix, open_, tools.tokenizer, tools.idf, tools.mean, hot, {})
    back = load(tmp_path)
    assert (back.linear.weights == linear.weights).all()
    assert (back.calibration, back.mix, back.judgeable.config()) == (hot, mix, open_.config())
    for name, value in reader.state_dict().items():
        assert torch.allclose(back.reader.state_dict()[name], value, atol=1e-3), name
    step = tools.encoder.words.weight.abs().max() / 127
    assert (back.encoder.words.weight - tools.encoder.words.weight).abs().max() <= step


def test_the_whole_recipe_runs_and_goes_on_where_it_was(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for split, count in (("train", 42), ("eval", 8)):
        folder = tmp_path / "data" / split
        folder.mkdir(parents=True)
        for name, kind in (("rubrics", "content"), ("claims", "")):
            cases = made_cases(count, name, kind)
            lines = [json.dumps(replace(case, report=f"{split} {name}. {case.report}").to_json()) for case in cases]
            (folder / f"{name}.jsonl").write_text("\n".join(lines))
    monkeypatch.setattr(mini, "make_tools", lambda *_: tools)
    short = Recipe(steps=4, batch=8, warmup=1, save_every=4)
    settings = {"older": short, "recipe": short, "growth": Growth(trees=10, smallest_leaf=5), "workers": 1}
    figures = mini.run(tmp_path / "data", tmp_path / "out", **settings)  # type: ignore[arg-type]
    assert set(figures["eval"]) == {"rubrics", "claims"}
    assert figures["eval"]["rubrics"]["kinds"]["all"]["n"] == 8 * 4 + 4
    assert load(tmp_path / "out" / "weights").config["seed"] == 0
    assert mini.run(tmp_path / "data", tmp_path / "out", **settings) == figures  # type: ignore[arg-type]
    weights, anew = tmp_path / "out" / "weights", tmp_path / "anew"
    mini.run(tmp_path / "data", anew, base=weights, **settings)  # type: ignore[arg-type]
    kept, fitted = "model.safetensors", "trees.safetensors"
    assert (anew / "weights" / kept).read_bytes() == (weights / kept).read_bytes()
    assert load(anew / "weights").forest.root.shape == load(weights).forest.root.shape
    assert (anew / "weights" / fitted).stat().st_size < (weights / kept).stat().st_size
    assert not (anew / "runs").exists()


def test_too_few_tasks_to_hold_one_out_are_told_before_anything_is_trained(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data" / "train"
    folder.mkdir(parents=True)
    lines = [json.dumps(case.to_json()) for case in made_cases(2, "rubrics", "content")]
    (folder / "rubrics.jsonl").write_text("\n".join(lines))
    monkeypatch.setattr(mini, "make_tools", lambda *_: tools)
    with pytest.raises(DataError, match="no task is held out"):
        mini.run(tmp_path / "data", tmp_path / "out", workers=1)
    assert not (tmp_path / "out" / "runs").exists()
