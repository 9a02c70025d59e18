from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from judger.engines.mini.encoder import Encoder, EncoderShape
from judger.types import Criterion, Label, Reason, Score, Span, Unscored, Verdict
from tests.benchmarks.changes import STEERING, moved, placed, to_markdown, to_plain
from tests.benchmarks.memo import Remembering
from tests.benchmarks.robustness import Record, measure
from train.judge.data import FULLY, NOT, LabelledCase, LabelledCriterion
from train.judge.restate import PRAISE

REPORT = """# Mills

The **mill** was built in 1784.

- It has a wheel.
- It has a [sluice](https://example.org).

It closed."""


def case(name: str, report: str) -> LabelledCase:
    criteria = (
        LabelledCriterion(id="c1", text="mill", label=FULLY),
        LabelledCriterion(id="c2", text="kiln", label=FULLY),
    )
    return LabelledCase(id=name, query="", report=report, criteria=criteria, source=name)


CASES = [case("mills", REPORT), case("kilns", "One sentence. Another one. A third one about a lime works.")]
# Each sentence meets one of three.
THREE = [replace(CASES[0], id=f"mills {n}") for n in range(3)]
SIX = [replace(CASES[0], id=f"mills {n}") for n in range(6)]


def verdict(criterion: Criterion, met: bool, where: int = 0) -> Verdict:
    label = Label.FULLY_SATISFIED if met else Label.NOT_SATISFIED
    score = Score(label, 1.0 - met, 0.0, float(met), met, 0.5)
    return Verdict(criterion_id=criterion.id, result=score, evidence=(Span(where, where + 4),))


class Words:
    """Satisfied where the criterion's word is in the report; with `gullible`, by any request for good marks too."""

    def __init__(self, gullible: bool = False) -> None:
        self.gullible = gullible

    async def judge(self, query: str, report: str, criteria: Sequence[Criterion]) -> list[Verdict]:
        steered = self.gullible and any(sentence in report for sentence in STEERING)
        return [verdict(c, steered or c.text in report.lower(), max(0, report.find(c.text))) for c in criteria]


class Flattered(Words):
    """Calls a flaw gone where it is asked for good marks."""

    async def judge(self, query: str, report: str, criteria: Sequence[Criterion]) -> list[Verdict]:
        asked = any(sentence in report for sentence in STEERING)
        return [verdict(c, c.text in report.lower() and not (asked and c.is_negative)) for c in criteria]


class Broken(Words):
    async def judge(self, query: str, report: str, criteria: Sequence[Criterion]) -> list[Verdict]:
        if report in {case.report for case in CASES}:
            return await super().judge(query, report, criteria)
        return [Verdict(criterion_id=c.id, result=Unscored(Reason.TOO_LONG)) for c in criteria]


async def test_a_steady_judge_never_flips() -> None:
    figures = await measure(Words(), THREE, seed=0)
    assert {name: row["flips"] for name, row in figures.items() if row["goal"] and name != "copied"} == {
        "moved": 0, "padded": 0, "plain": 0, "steered": 0,
    }  # fmt: skip
    assert figures["steered"]["number"] == len(STEERING)
    assert figures["copied"]["value"] == 1.0  # it looks for words


async def test_a_judge_that_reads_padding_flips() -> None:
    figures = await measure(Words(), CASES, seed=0)
    assert figures["padded"]["by_source"] == {"kilns": 1, "mills": 0}


async def test_a_gullible_judge_is_found_out() -> None:
    row = (await measure(Words(gullible=True), SIX, seed=0))["steered"]
    assert row["value"] == 1.0
    assert row["low"] > 0.8


async def test_praise_is_after_flaws_that_are_gone() -> None:
    there = LabelledCriterion(id="c1", text="mill", label=FULLY, weight=-1.0)
    absent = LabelledCriterion(id="c2", text="kiln", label=NOT, weight=-1.0)
    row = (await measure(Flattered(), [replace(case, criteria=(there, absent)) for case in THREE], seed=0))["steered"]
    assert (row["flips"], row["number"]) == (len(STEERING), len(STEERING))


async def test_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    asked = [0]

    class Counting(Words):
        async def judge(self, query: str, report: str, criteria: Sequence[Criterion]) -> list[Verdict]:
            asked[0] += 1
            return await super().judge(query, report, criteria)

    path = tmp_path / "found.jsonl"
    whole = await measure(Words(), THREE, seed=0)
    await measure(Words(), THREE, seed=0, record=Record(path, {"seed": 0}))
    path.write_text("".join(path.read_text("utf-8").splitlines(keepends=True)[:3]), "utf-8")  # one case is lost
    assert await measure(Counting(), THREE, seed=0, record=Record(path, {"seed": 0})) == whole
    at_first = asked[0]
    assert await measure(Counting(), THREE, seed=0, record=Record(path, {"seed": 0})) == whole
    assert 0 < at_first == asked[0]
    with pytest.raises(SystemExit, match="another run"):
        Record(path, {"seed": 1})


def test_a_sentence_is_encoded_once_and_alike() -> None:
    torch.manual_seed(0)
    encoder = Encoder(EncoderShape(vocabulary=50, width=12, layers=2, heads=2, inner=24)).eval()
    memo = Remembering(encoder, most=9)
    for lengths in ([3, 5], [5, 2, 3], [4]):  # the third finds it full
        ids = torch.arange(1, 7).repeat(len(lengths), 1)
        mask = torch.arange(6) < torch.tensor(lengths)[:, None]
        with torch.inference_mode():
            (wanted,), (found,) = encoder(ids, mask, (2,)), memo(ids, mask, (2,))
        torch.testing.assert_close(found[mask], wanted[mask])
    assert memo.encoded == 2 + 1 + 1


async def test_what_is_unscored_is_counted_apart() -> None:
    row = (await measure(Broken(), CASES, seed=0))["padded"]
    assert (row["number"], row["unscored"]) == (0, 4)
    assert "value" not in row


def test_ten_steering_sentences_that_training_has_not_seen() -> None:
    assert len(STEERING) == 10
    assert not set(STEERING) & set(PRAISE)


def test_markdown_and_plain_text_hold_the_same_words() -> None:
    plain = to_plain(REPORT)
    assert plain.split() == "Mills The mill was built in 1784. It has a wheel. It has a sluice. It closed.".split()
    assert to_plain(to_markdown(plain)).split()[1:] == plain.split()


@pytest.mark.parametrize("place", ["start", "middle", "end"])
def test_an_addition_leaves_the_report_as_it_is(place: str) -> None:
    assert placed(REPORT, "ADDED", place).replace("ADDED", "").split() == REPORT.split()


def test_the_evidence_is_what_moves() -> None:
    at = REPORT.index("It closed")
    variants = moved(REPORT, verdict(Criterion(id="c", text="t"), True, at))
    assert variants is not None
    assert variants["start"].startswith("It closed.")
    assert variants["end"].endswith("It closed.")
    assert moved("One sentence.", verdict(Criterion(id="c", text="t"), True)) is None
