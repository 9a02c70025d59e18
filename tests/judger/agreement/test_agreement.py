"""Agreement with people: the figures, their intervals, and the baselines beside them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn import metrics

from judger.agreement import Observation, agreement, baselines, observe
from judger.agreement.baselines import Answers
from judger.agreement.figures import FIGURES, Figure, Sample, calibration_error, draws, resampled, table
from judger.types import Case, Criterion, Label, Probabilities, Reason, Role, Score, Unscored, Verdict
from judger.verdict import score

NOT, PARTIALLY, FULLY = Label


def observation(
    report: int, human: Label, p: tuple[float, float, float] | Reason, *, negative: bool = False
) -> Observation:
    result: Score | Unscored
    if isinstance(p, Reason):
        result = Unscored(p)
    else:
        scored = score(Probabilities(*p), negative=negative)
        assert isinstance(scored, Score)
        result = scored
    return Observation(report.to_bytes(4, "big"), negative, human, result, (0.5, 0.5, 0.0, 0.0, float(negative)))


def noisy(n: int, *, reports: int, seed: int = 0, negatives: bool = True) -> list[Observation]:
    """Labels at random, and a judge that leans towards them."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        human = tuple(Label)[rng.integers(3)]
        p = rng.dirichlet(np.ones(3) + 1.5 * np.eye(3)[tuple(Label).index(human)])
        rows.append(observation(i % reports, human, tuple(p.tolist()), negative=negatives and i % 4 == 0))
    return rows


def arrays(rows: list[Observation]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Human and judge: strict bits, then labels; by hand, to hold the module against."""
    order = list(Label)
    human = np.array([order.index(row.human) for row in rows])
    bits = np.array([h >= 1 if row.negative else h == 2 for row, h in zip(rows, human, strict=True)])
    scores = [row.result for row in rows]
    judge = np.array([order.index(s.label) for s in scores])
    return bits, np.array([s.satisfied for s in scores]), human, judge


def test_the_values_are_those_of_scikit_learn():
    rows = noisy(300, reports=40)
    bits, judge_bits, human, judge = arrays(rows)
    figures = agreement("j", {"s": rows}, resamples=20).sources["s"].figures
    assert figures["balanced_accuracy"].value == metrics.balanced_accuracy_score(bits, judge_bits)
    assert figures["macro_f1"].value == metrics.f1_score(bits, judge_bits, average="macro")
    assert figures["ternary_macro_f1"].value == metrics.f1_score(human, judge, average="macro")
    assert figures["kappa"].value == metrics.cohen_kappa_score(bits, judge_bits)
    assert figures["positive_rate"].value == pytest.approx(judge_bits.mean())
    assert figures["human_positive_rate"].value == pytest.approx(bits.mean())


def test_every_resample_is_what_scikit_learn_gives_for_its_weights():
    rows = noisy(120, reports=15, negatives=False)
    bits, judge_bits, human, judge = arrays(rows)
    reports = np.array([int.from_bytes(row.report, "big") for row in rows])
    sample = Sample(
        human=human,
        negative=np.zeros(120, dtype=bool),
        reports=reports,
        missing=np.zeros(15),
        draws=draws(15, 10, np.random.default_rng(1)),
    )
    p = np.array([row.result.p_full for row in rows])
    values = resampled(sample, Answers(judge, judge_bits, p))
    for row in range(11):
        weight = sample.draws[row][reports]
        kept = weight > 0
        expected = {
            "balanced_accuracy": metrics.balanced_accuracy_score(bits, judge_bits, sample_weight=weight),
            "macro_f1": metrics.f1_score(bits, judge_bits, average="macro", sample_weight=weight),
            "ternary_macro_f1": metrics.f1_score(human[kept], judge[kept], average="macro", sample_weight=weight[kept]),
            "kappa": metrics.cohen_kappa_score(bits, judge_bits, sample_weight=weight),
            "positive_rate": np.average(judge_bits, weights=weight),
        }
        for name, value in expected.items():
            assert values[name][row] == pytest.approx(value), (name, row)


def test_a_trace_of_a_flaw_counts_as_satisfied_and_a_trace_of_a_requirement_does_not():
    rows = [
        observation(0, PARTIALLY, (0.1, 0.8, 0.1), negative=True),
        observation(1, PARTIALLY, (0.1, 0.8, 0.1)),
    ]
    figures = agreement("j", {"s": rows}, resamples=10).sources["s"].figures
    assert figures["positive_rate_of_flaws"].value == figures["human_positive_rate_of_flaws"].value == 1.0
    assert figures["positive_rate_of_requirements"].value == figures["human_positive_rate_of_requirements"].value == 0.0
    assert figures["balanced_accuracy"].value == 1.0


def test_unscored_criteria_are_left_out_of_the_figures_and_counted_by_reason():
    rows = noisy(100, reports=20)
    gaps = [observation(i, FULLY, Reason.TOO_LONG) for i in range(20)] + [observation(0, NOT, Reason.DEADLINE)]
    with_gaps, without = agreement("j", {"s": rows + gaps}, resamples=10), agreement("j", {"s": rows}, resamples=10)
    assert with_gaps.sources["s"].n == 100
    assert with_gaps.sources["s"].figures["kappa"].value == without.sources["s"].figures["kappa"].value
    assert with_gaps.sources["s"].figures["unscored"].value == pytest.approx(21 / 121)
    assert with_gaps.unscored == {"s": {"deadline": 1, "too_long": 20}}


def test_intervals_take_the_criteria_of_a_report_as_one_piece_of_evidence():
    one_each = noisy(60, reports=60, negatives=False)
    copies = [row for row in one_each for _ in range(8)]
    alone = agreement("j", {"s": one_each}).sources["s"].figures["balanced_accuracy"]
    copied = agreement("j", {"s": copies}).sources["s"].figures["balanced_accuracy"]
    assert copied.value == pytest.approx(alone.value)
    # Eight copies of each criterion say nothing new: the interval stays as wide.
    assert copied.high - copied.low == pytest.approx(alone.high - alone.low, rel=0.1)


def test_an_interval_covers_the_truth_about_as_often_as_it_says():
    """Reports whose ten criteria share a luck: an interval over single criteria would cover half as often."""

    def judged(num_reports: int, rng: np.random.Generator, resamples: int) -> Figure:
        reports = np.repeat(np.arange(num_reports), 10)
        human = rng.integers(0, 2, len(reports)) == 1
        right = rng.random(len(reports)) < rng.beta(3, 1, num_reports)[reports]
        said = human == right
        sample = Sample(
            human=2 * human.astype(np.int64),
            negative=np.zeros(len(reports), dtype=bool),
            reports=reports,
            missing=np.zeros(num_reports),
            draws=draws(num_reports, resamples, rng),
        )
        answers = Answers(2 * said.astype(np.int64), said, said.astype(np.float64))
        return table({"s": (sample, answers)})[0]["s"].figures["balanced_accuracy"]

    truth = 0.75  # the mean of that beta distribution
    figures = [judged(50, np.random.default_rng(seed), 200) for seed in range(100)]
    assert 88 <= sum(figure.low <= truth <= figure.high for figure in figures) <= 99


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [observation(0, FULLY, Reason.TOO_LONG)],
        [observation(0, FULLY, (0.1, 0.1, 0.8)), observation(0, NOT, (0.8, 0.1, 0.1))],
        [observation(i, FULLY, (0.1, 0.1, 0.8)) for i in range(5)],
        [observation(i, FULLY, (0.8, 0.1, 0.1)) for i in range(5)],
    ],
    ids=["nothing", "all unscored", "one report", "one class, right", "one class, wrong"],
)
def test_degenerate_sources_have_nulls_and_no_warning(rows):
    result = agreement("j", {"s": rows}, resamples=50)
    line = json.dumps(result.to_json(), allow_nan=False)
    figure = json.loads(line)["sources"]["s"]["balanced_accuracy"]
    assert figure["low"] is None
    assert figure["high"] is None


def test_a_source_with_one_class_is_no_part_of_the_mean_balanced_accuracy():
    rows = noisy(100, reports=20)
    one_class = [observation(i, NOT, (0.8, 0.1, 0.1)) for i in range(10)]
    result = agreement("j", {"a": rows, "b": one_class}, resamples=50)
    assert result.sources["b"].figures["balanced_accuracy"].value is None
    assert result.mean.figures["balanced_accuracy"].value == result.sources["a"].figures["balanced_accuracy"].value


def test_the_mean_weighs_every_source_the_same():
    small, large = noisy(40, reports=10, seed=1), noisy(400, reports=100, seed=2)
    result = agreement("j", {"a": small, "b": large}, resamples=50)
    for name in ("balanced_accuracy", "macro_f1", "kappa", "positive_rate"):
        values = [row.figures[name].value for row in result.sources.values()]
        assert result.mean.figures[name].value == pytest.approx(sum(values) / 2)
    assert result.mean.n == 440


def test_the_same_seed_gives_the_same_intervals_and_another_seed_others():
    rows = noisy(100, reports=20)
    first, again, other = (agreement("j", {"s": rows}, resamples=100, seed=seed) for seed in (0, 0, 1))
    assert first.to_json() == again.to_json()
    assert first.sources["s"].figures["kappa"] != other.sources["s"].figures["kappa"]


def test_the_json_has_the_shape_of_the_design():
    result = agreement("judge-1", {"s": noisy(100, reports=20)}, resamples=20).to_json()
    assert list(result) == ["judge_id", "sources", "mean", "baselines", "details"]
    assert set(result["baselines"]) == {"majority_class", "word_overlap"}
    for row in (result["sources"]["s"], result["mean"], result["baselines"]["word_overlap"]["mean"]):
        assert isinstance(row["n"], int)
        assert set(row) == {"n", *FIGURES}
        assert all(set(row[name]) == {"value", "low", "high"} for name in FIGURES)
    assert result["details"]["bootstrap"] == {"resamples": 20, "seed": 0, "confidence": 0.95}


def sample_of(satisfied: list[bool]) -> Sample:
    n = len(satisfied)
    return Sample(
        human=np.where(satisfied, 2, 0),
        negative=np.zeros(n, dtype=bool),
        reports=np.arange(n),
        missing=np.zeros(n),
        draws=np.ones((1, n)),
    )


def answers_of(p: list[float]) -> Answers:
    return Answers(np.zeros(len(p), dtype=np.int64), np.array(p) >= 0.5, np.array(p))


def test_a_constant_probability_errs_by_its_distance_from_the_rate_whatever_the_order():
    satisfied = [True] * 30 + [False] * 70
    assert calibration_error([(sample_of(satisfied), answers_of([0.3] * 100))])[0] == pytest.approx(0)
    assert calibration_error([(sample_of(satisfied), answers_of([0.5] * 100))])[0] == pytest.approx(0.2)


def test_the_calibration_error_is_that_of_fifteen_bins_of_equal_mass():
    rng = np.random.default_rng(0)
    p = np.sort(rng.random(150))
    satisfied = rng.random(150) < p
    expected = sum(abs(p[i : i + 10].sum() - satisfied[i : i + 10].sum()) for i in range(0, 150, 10)) / 150
    assert calibration_error([(sample_of(list(satisfied)), answers_of(list(p)))])[0] == pytest.approx(expected)


def test_pooled_sources_weigh_the_same_in_the_calibration_error():
    small = sample_of([True] * 10), answers_of([0.9] * 10)
    large = sample_of([False] * 1000), answers_of([0.3] * 1000)
    assert calibration_error([small, large])[0] == pytest.approx((0.1 + 0.3) / 2)


def case_of(report: str, *criteria: Criterion) -> Case:
    return Case(id="x", query="", report=report, criteria=criteria)


def test_overlap_tells_scattered_words_from_words_in_one_place():
    filler = " ".join(["lorem"] * 200)
    criterion = Criterion(id="c1", text="Solar panels cost 1,500 euros")
    near = baselines.overlap(case_of(f"{filler} solar panels cost 1,500 euros {filler}", criterion))[0]
    far = baselines.overlap(case_of(f"solar {filler} panels {filler} cost {filler} 1,500 {filler} euros", criterion))[0]
    assert near[:2] == (1.0, 1.0)
    assert far[0] == 1.0
    assert far[1] == pytest.approx(0.2)
    assert near[2:4] == far[2:4] == (1.0, 1.0)


@pytest.mark.parametrize(("report", "criterion"), [("", "x"), ("...", "..."), ("the and", "the"), ("報告", "報告")])
def test_overlap_takes_any_text(report, criterion):
    (features,) = baselines.overlap(case_of(report, Criterion(id="c", text=criterion)))
    assert len(features) == baselines.NUM_FEATURES
    assert all(0 <= value <= 1 for value in features)


def test_word_overlap_never_saw_the_labels_of_the_report_that_it_is_asked_about():
    rng = np.random.default_rng(0)
    features, human = rng.random((60, 5)), rng.integers(0, 3, 60)
    reports, negative, mass = np.repeat(np.arange(20), 3), np.zeros(60, dtype=bool), np.ones(60)

    def predicted(labels):
        answers = baselines.word_overlap(features, labels, labels == 2, negative, reports, mass)
        return answers.p_satisfied[reports == 7]

    changed = np.where(reports == 7, (human + 1) % 3, human)
    assert (predicted(human) == predicted(changed)).all()
    assert (predicted(human) != predicted(np.where(reports == 8, (human + 1) % 3, human))).any()


def test_word_overlap_finds_what_words_can_tell():
    rng = np.random.default_rng(0)
    rows = {}
    for name in ("a", "b"):
        rows[name] = []
        for i in range(80):
            found = rng.random() < 0.5
            text = "Wind turbines supply 40 percent" if found else "Nothing of it stands here"
            case = case_of(f"{text} {i}", Criterion(id="c", text="Wind turbines supply 40 percent", label=NOT))
            human = Label.FULLY_SATISFIED if found else NOT
            case = case_of(case.report, Criterion(id="c", text="Wind turbines supply 40 percent", label=human))
            result = Score(NOT, 1.0, 0.0, 0.0, False, 0.5)
            rows[name] += observe(case, [Verdict(criterion_id="c", result=result)])
    result = agreement("j", rows, resamples=20)
    assert result.baselines["word_overlap"][1].figures["balanced_accuracy"].value == 1.0
    assert result.baselines["majority_class"][1].figures["balanced_accuracy"].value == 0.5
    assert result.mean.figures["balanced_accuracy"].value == 0.5


def test_only_labelled_criteria_are_observed_and_equal_reports_are_one_cluster():
    labelled = Criterion(id="c1", text="a", label=FULLY)
    bare = Criterion(id="c2", text="b")
    flaw = Criterion(id="c3", text="c", weight=-1, role=Role.NEGATIVE, label=NOT)
    verdicts = [Verdict(criterion_id=c, result=Unscored(Reason.DEADLINE)) for c in ("c1", "c2", "c3")]
    first = observe(case_of("same", labelled, bare, flaw), verdicts)
    second = observe(case_of("same", labelled), verdicts[:1])
    assert [row.negative for row in first] == [False, True]
    assert first[0].report == second[0].report
