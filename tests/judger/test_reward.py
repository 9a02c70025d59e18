"""Properties of the reward, and the worked examples of its definition."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judger.reward import no_spread, reward
from judger.types import Criterion, Label, Mapping, Probabilities, Reason, Role, Score, Unscored, Verdict
from judger.validate import criteria_faults
from judger.verdict import score, verdict

CERTAIN = {
    Label.NOT_SATISFIED: Probabilities(1.0, 0.0, 0.0),
    Label.PARTIALLY_SATISFIED: Probabilities(0.0, 1.0, 0.0),
    Label.FULLY_SATISFIED: Probabilities(0.0, 0.0, 1.0),
}
ORDER = list(CERTAIN)
weights = st.floats(-10, 10).filter(lambda weight: abs(weight) > 1e-3)
mappings = st.sampled_from(Mapping)


def criterion(weight: float, position: int = 0, *, fatal: bool = False) -> Criterion:
    role = Role.NEGATIVE if weight < 0 else Role.EXPLICIT
    return Criterion(id=f"c{position}", text="text", weight=weight, role=role, fatal=fatal and weight < 0)


def answered(criteria: list[Criterion], labels: list[Label]) -> list[Verdict]:
    return [verdict(one, CERTAIN[label]) for one, label in zip(criteria, labels, strict=True)]


@st.composite
def judged(draw: st.DrawFn, *, fatal: bool = False) -> tuple[list[Criterion], list[Verdict]]:
    criteria = [
        criterion(weight, position, fatal=fatal and draw(st.booleans()))
        for position, weight in enumerate(draw(st.lists(weights, min_size=1, max_size=12)))
    ]
    verdicts = []
    for one in criteria:
        parts = [draw(st.floats(0, 1)) + 1e-6 for _ in range(3)]
        verdicts.append(verdict(one, Probabilities(*(part / sum(parts) for part in parts))))
    return criteria, verdicts


def test_strict_mapping_pays_a_requirement_only_when_fully_satisfied_and_charges_any_trace_of_a_flaw() -> None:
    criteria = [criterion(w, i) for i, w in enumerate([3.0, 2.0, 5.0, -1.0, -2.0, -4.0])]
    given_labels = [ORDER[2], ORDER[1], ORDER[0], ORDER[0], ORDER[1], ORDER[2]]
    result = reward(criteria, answered(criteria, given_labels))
    assert result.raw == 3.0 - 2.0 - 4.0
    assert result.normalized == result.value == pytest.approx(-3.0 / 10.0)
    assert result.clamped == 0.0
    assert (result.positive_weight, result.negative_weight) == (10.0, -7.0)


def test_ternary_mapping_gives_half_for_partially() -> None:
    criteria = [criterion(4.0), criterion(-2.0, 1)]
    result = reward(criteria, answered(criteria, [ORDER[1], ORDER[1]]), mapping=Mapping.TERNARY)
    assert result.raw == 4.0 * 0.5 - 2.0 * 0.5


def test_expected_mapping_weighs_by_probability() -> None:
    criteria = [criterion(4.0), criterion(-2.0, 1)]
    verdicts = [verdict(one, Probabilities(0.5, 0.2, 0.3)) for one in criteria]
    result = reward(criteria, verdicts, mapping=Mapping.EXPECTED)
    assert result.raw == pytest.approx(4.0 * 0.3 - 2.0 * 0.5)


def test_without_positive_weights_the_reward_is_divided_by_the_negative_ones() -> None:
    criteria = [criterion(-2.0), criterion(-6.0, 1)]
    result = reward(criteria, answered(criteria, [ORDER[2], ORDER[0]]))
    assert result.value == pytest.approx(-0.25)


def test_a_triggered_fatal_criterion_caps_the_value_at_zero_and_leaves_raw_alone() -> None:
    criteria = [criterion(10.0), criterion(-1.0, 1, fatal=True)]
    result = reward(criteria, answered(criteria, [ORDER[2], ORDER[1]]))
    assert (result.fatal, result.value, result.raw, result.normalized) == (True, 0.0, 9.0, 0.9)
    assert result.clamped == 0.0


def test_an_untriggered_fatal_criterion_changes_nothing() -> None:
    criteria = [criterion(10.0), criterion(-1.0, 1, fatal=True)]
    result = reward(criteria, answered(criteria, [ORDER[2], ORDER[0]]))
    assert (result.fatal, result.value) == (False, 1.0)


def test_allowing_unscored_counts_the_scored_criteria_alone() -> None:
    criteria = [criterion(3.0), criterion(7.0, 1)]
    verdicts = [*answered(criteria[:1], [ORDER[2]]), unscored(criteria[1])]
    assert reward(criteria, verdicts, allow_unscored=True).value == 1.0
    assert reward(criteria, verdicts, allow_unscored=True).positive_weight == 3.0


def test_with_nothing_scored_there_is_no_value_even_when_unscored_is_allowed() -> None:
    criteria = [criterion(3.0)]
    assert reward(criteria, [unscored(criteria[0])], allow_unscored=True).value is None


def test_an_unscored_fatal_criterion_leaves_no_value_even_where_unscored_is_allowed() -> None:
    criteria = [criterion(2.0), criterion(-1.0, 1, fatal=True), criterion(-1.0, 2, fatal=True)]
    for other in (ORDER[0], ORDER[2]):  # whether another one was triggered or not
        verdicts = [*answered(criteria[:2], [ORDER[2], other]), unscored(criteria[2])]
        result = reward(criteria, verdicts, allow_unscored=True)
        assert (result.value, result.raw, result.normalized, result.clamped) == (None, None, None, None)


def test_with_every_requirement_unscored_the_flaws_alone_give_no_value() -> None:
    criteria = [criterion(4.0), criterion(6.0, 1), criterion(-1.0, 2)]
    verdicts = [unscored(criteria[0]), unscored(criteria[1]), *answered(criteria[2:], [ORDER[2]])]
    assert reward(criteria, verdicts, allow_unscored=True).value is None
    verdicts[1] = answered(criteria[1:2], [ORDER[0]])[0]
    assert reward(criteria, verdicts, allow_unscored=True).value == pytest.approx(-1 / 6)


def test_a_rubric_of_flaws_alone_has_a_value_while_one_of_them_is_scored() -> None:
    criteria = [criterion(-2.0), criterion(-6.0, 1)]
    verdicts = [*answered(criteria[:1], [ORDER[2]]), unscored(criteria[1])]
    assert reward(criteria, verdicts, allow_unscored=True).value == -1.0
    assert reward(criteria, [unscored(one) for one in criteria], allow_unscored=True).value is None


ANY_WEIGHT = st.floats(allow_nan=False, allow_infinity=False).filter(bool)


@given(
    st.lists(st.one_of(weights, ANY_WEIGHT, st.sampled_from([1e300, -1e300, 1e-300, -1e-300, 5e-324])), max_size=6),
    mappings,
    st.booleans(),
    st.data(),
)
def test_no_number_of_a_rubric_that_is_taken_is_ever_infinite_or_nan(
    sizes: list[float], mapping: Mapping, allow_unscored: bool, data: st.DataObject
) -> None:
    criteria = [criterion(weight, i, fatal=data.draw(st.booleans())) for i, weight in enumerate(sizes)]
    if list(criteria_faults(criteria)):
        return
    verdicts = [
        verdict(one, Probabilities(0.5, 0.3, 0.2)) if data.draw(st.booleans()) else unscored(one) for one in criteria
    ]
    result = reward(criteria, verdicts, mapping=mapping, allow_unscored=allow_unscored)
    numbers = (result.value, result.raw, result.normalized, result.clamped)
    assert all(number is None or math.isfinite(number) for number in numbers)
    assert len({number is None for number in numbers}) == 1


def unscored(one: Criterion) -> Verdict:
    return Verdict(criterion_id=one.id, result=Unscored(Reason.DEADLINE, "late"))


@given(judged(fatal=True), mappings, st.data())
def test_one_unscored_criterion_removes_the_value(
    case: tuple[list[Criterion], list[Verdict]], mapping: Mapping, data: st.DataObject
) -> None:
    criteria, verdicts = case
    position = data.draw(st.integers(0, len(criteria) - 1))
    verdicts[position] = unscored(criteria[position])
    result = reward(criteria, verdicts, mapping=mapping)
    assert (result.value, result.raw, result.normalized, result.clamped) == (None, None, None, None)


@given(judged(fatal=True), mappings)
def test_the_reward_is_bounded_by_the_weights(case: tuple[list[Criterion], list[Verdict]], mapping: Mapping) -> None:
    criteria, verdicts = case
    result = reward(criteria, verdicts, mapping=mapping)
    assert result.raw is not None
    assert result.clamped is not None
    assert result.value is not None
    assert result.normalized is not None
    assert result.negative_weight - 1e-9 <= result.raw <= result.positive_weight + 1e-9
    assert result.clamped == min(1.0, max(0.0, result.value))
    assert result.value <= result.normalized


@given(judged(fatal=True), mappings, st.randoms(use_true_random=False))
def test_the_order_of_the_criteria_does_not_matter(
    case: tuple[list[Criterion], list[Verdict]], mapping: Mapping, random: st.DataObject
) -> None:
    criteria, verdicts = case
    order = list(range(len(criteria)))
    random.shuffle(order)  # type: ignore[attr-defined]
    shuffled = reward([criteria[i] for i in order], [verdicts[i] for i in order], mapping=mapping)
    assert shuffled == reward(criteria, verdicts, mapping=mapping)


@given(judged(fatal=True), mappings, st.data())
def test_a_better_verdict_never_costs_and_a_worse_one_never_pays(
    case: tuple[list[Criterion], list[Verdict]], mapping: Mapping, data: st.DataObject
) -> None:
    """Monotone: up for a requirement, down for a flaw."""
    criteria, verdicts = case
    position = data.draw(st.integers(0, len(criteria) - 1))
    one = criteria[position]
    values = []
    for label in ORDER:
        verdicts[position] = verdict(one, CERTAIN[label])
        values.append(reward(criteria, verdicts, mapping=mapping).value)
    if one.is_negative:
        values.reverse()
    assert all(a <= b + 1e-12 for a, b in itertools.pairwise(values))  # type: ignore[operator]


@given(st.lists(weights, min_size=1, max_size=8), st.floats(-10, -1e-3), mappings)
def test_a_partially_present_flaw_always_costs(others: list[float], weight: float, mapping: Mapping) -> None:
    criteria = [criterion(w, i) for i, w in enumerate([*others, weight])]
    labels = [ORDER[2] if w > 0 else ORDER[0] for w in others]
    absent = reward(criteria, answered(criteria, [*labels, ORDER[0]]), mapping=mapping)
    traced = reward(criteria, answered(criteria, [*labels, ORDER[1]]), mapping=mapping)
    assert absent.raw is not None
    assert traced.raw is not None
    assert traced.raw < absent.raw


@given(st.floats(0, 1), st.booleans())
def test_the_label_and_the_strict_bit_never_disagree(p: float, negative: bool) -> None:
    for parts in ((1 - p, p, 0.0), (1 - p, 0.0, p), ((1 - p) / 2, (1 - p) / 2, p), (p / 2, 1 - p, p / 2)):
        result = score(Probabilities(*parts), negative=negative)
        assert isinstance(result, Score)
        strict = {Label.FULLY_SATISFIED} if not negative else {Label.PARTIALLY_SATISFIED, Label.FULLY_SATISFIED}
        assert result.satisfied == (result.label in strict)
        assert 0.0 <= result.margin <= 1.0


def test_a_reward_of_huge_and_tiny_weights_stays_finite() -> None:
    criteria = [criterion(1e300), criterion(-1e-300, 1)]
    result = reward(criteria, answered(criteria, [ORDER[2], ORDER[2]]))
    assert result.value is not None
    assert math.isfinite(result.value)


def test_verdicts_of_another_length_than_the_criteria_are_refused() -> None:
    one = criterion(1.0)
    with pytest.raises(ValueError, match="shorter"):
        reward([one, replace(one, id="c2")], answered([one], [ORDER[0]]))


@pytest.mark.parametrize("mapping", Mapping)
@given(st.lists(st.none() | st.floats(-3, 3), max_size=8))
def test_a_group_has_no_spread_where_two_or_more_have_one_reward(mapping: Mapping, values: list[float | None]) -> None:
    known = [value for value in values if value is not None]
    told = no_spread(values, mapping)
    assert (told is not None) == (len(known) > 1 and max(known) - min(known) <= 1e-9)
    if told is not None:
        assert ("EXPECTED" in told) == (mapping is not Mapping.EXPECTED)
