import random
from collections.abc import Sequence

import pytest
from train.judge.augment import PRAISE, inserted, moved, paragraphs, plain
from train.judge.flaws import COMMISSIONS, CONTRADICTIONS, OMISSIONS, as_clause, restated
from train.judge.synthesis import KINDS, Corpus, synthesize

from train.judge.data import FULLY, NOT, PARTIALLY, LabelledCase, LabelledCriterion, digest
from train.judge.edits import negate, swap_date, swap_name, swap_number
from train.judge.statements import Weights, sentences, statement

MILL = (
    "The mill at Ardgour was built in 1784. It was driven by the tide. Ewan Cameron ran it for 12 years. "
    "The wheel was eleven feet wide. In March the sea wall broke. The mill was not repaired. "
    "Its stones lie on the shore today. Visitors come by ferry from Corran."
)
BREAD = (
    "# Bread\n\nFlour, water, salt and yeast make **bread**.\n\n- Knead for ten minutes.\n- Bake at 220 degrees.\n\n"
    "Clara Lindqvist bakes rye bread on Tuesdays. Her ovens are fired with birch.\n\n"
    "A loaf keeps for four days in a [linen bag](https://example.org/bag)."
)
CHESS = "Nadia Petrova won the chess open in Turin. She opened with the queen's pawn. The final took six hours."


def case(name: str, report: str, *criteria: tuple[str, int], source: str = "notes") -> LabelledCase:
    items = tuple(LabelledCriterion(id=f"c{i}", text=text, label=label) for i, (text, label) in enumerate(criteria, 1))
    return LabelledCase(id=name, query="", report=report, criteria=items, source=source)


@pytest.fixture
def corpus() -> Corpus:
    return Corpus(
        [
            case(
                "mill",
                MILL,
                ("The text states that: The mill at Ardgour was built in 1784.", FULLY),
                ("The text states that: Ewan Cameron ran it for 12 years.", FULLY),
                ("The text states that: In March the sea wall broke.", FULLY),
                ("The text states that: The mill was not repaired.", FULLY),
                ("The text states that: The mill burned down.", NOT),
            ),
            case(
                "bread",
                BREAD,
                ("The text states that: Clara Lindqvist bakes rye bread on Tuesdays.", FULLY),
                ("The text states that: A loaf keeps for four days.", PARTIALLY),
            ),
            case("chess", CHESS, ("Nadia Petrova won the chess open in Turin.", FULLY), source="sport"),
        ]
    )


def made(corpus: Corpus, *kinds: str, seed: int = 0) -> list[tuple[str, LabelledCase, LabelledCriterion]]:
    return [(str(c.meta["synthetic"]), m, c) for m in synthesize(corpus, kinds, seed=seed) for c in m.criteria]


def test_a_seed_gives_the_same_pairs_and_another_seed_others(corpus: Corpus) -> None:
    assert made(corpus, *KINDS, seed=1) == made(corpus, *KINDS, seed=1)
    assert made(corpus, *KINDS, seed=1) != made(corpus, *KINDS, seed=2)


def test_what_is_made_of_a_case_does_not_depend_on_the_order_of_cases(corpus: Corpus) -> None:
    turned = Corpus(reversed(corpus.cases))
    kinds = ("negated", "flaws", "removed", "plain", "praised")
    key = str
    assert sorted(made(corpus, *kinds), key=key) == sorted(made(turned, *kinds), key=key)


def test_every_pair_says_how_and_of_which_report_it_was_made(corpus: Corpus) -> None:
    documents = {digest(case.report) for case in corpus.cases}
    pairs = made(corpus, *KINDS)
    assert {kind for kind, _, _ in pairs} >= {
        "other_report",
        "negated",
        "removed",
        "plain",
        "praised",
        "moved",
    }
    assert all(criterion.meta["document"] in documents for _, _, criterion in pairs)
    assert len({made_case.id for _, made_case, _ in pairs}) > len(corpus.cases)


def test_a_criterion_of_another_report_is_not_satisfied_and_shares_few_words(corpus: Corpus) -> None:
    pairs = made(corpus, "other_report")
    assert pairs
    for _, made_case, criterion in pairs:
        assert criterion.label == NOT
        core = statement(criterion.text)
        assert core is not None
        assert corpus.weights.best_recall(core.core, made_case.report) < 0.3


def test_swaps_change_what_the_report_holds_into_what_it_does_not(corpus: Corpus) -> None:
    pairs = made(corpus, "swapped")
    assert {kind for kind, _, _ in pairs} == {"swapped_number", "swapped_name", "swapped_date"}
    originals = {criterion.text for case in corpus.cases for criterion in case.criteria}
    assert all(criterion.label == NOT and criterion.text not in originals for _, _, criterion in pairs)


@pytest.mark.parametrize(
    ("statement_", "opposite"),
    [
        ("The mill was built in 1784.", "The mill was not built in 1784."),
        ("The mill was not repaired.", "The mill was repaired."),
        ("The party may share the data.", "The party may not share the data."),
        ("They have been seen.", "They have not been seen."),
        ("Paul met Laura in Leith.", "Paul did not meet Laura in Leith."),
        ("The law requires a permit.", "The law does not require a permit."),
        ("She can't swim.", "She can swim."),
        ("It does not contain lead.", "It does contain lead."),
        ("They didn't win the cup.", "They did win the cup."),
    ],
)
def test_a_negation_is_put_in_or_taken_out(statement_: str, opposite: str) -> None:
    assert negate(statement_) == opposite


@pytest.mark.parametrize(
    "text",
    [
        "Only members may vote.",
        "The man who was seen left.",
        "Is it so?",
        "Black smoke over the harbour.",
        "It rained. It was cold.",
        "No one was hurt.",
        "word " * 60,
    ],
)
def test_where_no_rule_is_sure_nothing_is_negated(text: str) -> None:
    assert negate(text) is None


def test_numbers_names_and_dates_are_swapped_only_where_the_report_holds_them() -> None:
    rng = random.Random(0)
    assert swap_number("It has 5 wheels.", "no such number", rng) is None
    assert swap_name("We met Ada Lovelace.", "nobody", ["Ada Byron"], rng) is None
    assert swap_date("In March it broke.", "nothing", rng) is None
    swapped = swap_number("It cost 1,250 pounds.", "It cost 1,250 pounds.", rng)
    assert swapped is not None
    assert swapped != "It cost 1,250 pounds."
    assert len(swapped) == len("It cost 1,250 pounds.")
    assert swap_name("We met Ada Lovelace.", "Ada Lovelace", ["Mary Shelley"], rng) == "We met Mary Shelley."


def test_the_removed_sentences_are_those_that_state_it(corpus: Corpus) -> None:
    pairs = made(corpus, "removed")
    assert pairs
    for _, made_case, criterion in pairs:
        core = statement(criterion.text)
        assert core is not None
        assert criterion.label == NOT
        assert core.core.rstrip(".") not in made_case.report
        assert len(made_case.report) > 50


def test_another_passage_score_can_be_given() -> None:
    asked: list[str] = []

    def score(core: str, passages: Sequence[str]) -> list[float]:
        asked.append(core)
        return [float("wheel" in passage) for passage in passages]

    corpus = Corpus([case("mill", MILL, ("The wheel was eleven feet wide.", FULLY))], passage_score=score)
    ((_, made_case, _),) = made(corpus, "removed")
    assert "wheel" not in made_case.report
    assert asked == ["The wheel was eleven feet wide."]


def test_the_label_of_an_omission_is_turned_and_that_of_a_commission_kept(corpus: Corpus) -> None:
    by_label = {
        label: {f.kind: f.label for f in restated(what, label, random.Random(0))}
        for label in (NOT, PARTIALLY, FULLY)
        if (what := statement("The text states that: The mill burned down.")) is not None
    }
    assert by_label[FULLY] == {"flaw_omission": NOT, "flaw_commission": FULLY, "flaw_contradiction": NOT}
    assert by_label[PARTIALLY] == {"flaw_omission": PARTIALLY, "flaw_commission": PARTIALLY}
    assert by_label[NOT] == {"flaw_omission": FULLY, "flaw_commission": NOT}
    assert all(criterion.is_negative and criterion.role == "negative" for _, _, criterion in made(corpus, "flaws"))


def test_a_summary_with_one_wrong_detail_is_omitted_in_part_only() -> None:
    what = statement("Everything in the following summary is supported by the document: It rained. It was cold.")
    assert what is not None
    (flaw,) = restated(what, NOT, random.Random(0))
    assert flaw.label == PARTIALLY


def test_what_an_altered_statement_says_is_contradicted(corpus: Corpus) -> None:
    present = [c for kind, _, c in made(corpus, "flaws") if kind == "flaw_contradiction" and c.label == FULLY]
    assert present
    assert all("1784" not in c.text or "not" in c.text for c in present)


def test_held_out_phrasings_are_never_trained_on() -> None:
    for phrasings in (OMISSIONS, COMMISSIONS, CONTRADICTIONS):
        assert not set(phrasings["train"]) & set(phrasings["held_out"])
    assert len(OMISSIONS["train"]) >= 12


def test_a_clause_starts_small_unless_it_starts_with_a_name() -> None:
    assert as_clause("The mill burned down.") == "the mill burned down"
    assert as_clause("Ewan Cameron ran it.") == "Ewan Cameron ran it"


@pytest.mark.parametrize(
    ("criterion", "shape"),
    [
        ("The text states that: The mill burned down.", "clause"),
        ("Does the contract contain a cap on liability?", "noun"),
        ("The answer conveys the same content as this reference answer: Salt dissolves.", "text"),
        ("According to the text, the answer to this question is yes: Is it so?", "question"),
        ("The response is easy to read.", None),
    ],
)
def test_a_criterion_is_taken_apart(criterion: str, shape: str | None) -> None:
    what = statement(criterion)
    assert (what.shape if what else None) == shape


def test_changed_reports_keep_their_labels(corpus: Corpus) -> None:
    labels = {c.text: c.label for case in corpus.cases for c in case.criteria}
    for kind, made_case, criterion in made(corpus, "moved", "plain", "praised"):
        assert criterion.label == labels[criterion.text]
        if kind == "praised":
            assert any(praise in made_case.report for praise in PRAISE)


def test_plain_text_keeps_every_word_and_no_mark() -> None:
    assert (
        plain(BREAD).split()
        == (
            BREAD.replace("# ", "")
            .replace("**", "")
            .replace("- ", "")
            .replace("[", "")
            .replace("](https://example.org/bag)", "")
        ).split()
    )


def test_a_moved_paragraph_is_the_one_that_bears_on_it() -> None:
    core, weights = "Ewan Cameron ran the mill.", Weights([MILL, BREAD])
    text = moved(MILL, core, weights.scores, random.Random(0))
    assert text is not None
    assert sorted(s.strip() for s in sentences(text)) == sorted(s.strip() for s in sentences(MILL))
    assert text != MILL
    assert moved("One sentence.", core, weights.scores, random.Random(0)) is None


@pytest.mark.parametrize("place", ["start", "middle", "end"])
def test_text_is_inserted_whole(place: str) -> None:
    text = inserted(BREAD, "An aside.", place)
    assert "An aside." in text
    assert text.replace("An aside.", "").split() == BREAD.split()


def test_parts_join_to_the_whole() -> None:
    for text in (MILL, BREAD, CHESS, ""):
        assert "".join(sentences(text)) == text
        assert "".join(paragraphs(text)) == text
