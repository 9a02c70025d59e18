"""Two-step reverse synthesis: what is written, what is dropped, and that every drop is counted."""

from __future__ import annotations

import dataclasses

import pytest

from judger.client import make_criteria
from judger.types import Role
from train.tasks.build import as_case
from train.tasks.draft import Assessment, Draft, deal
from train.tasks.funnel import Funnel, show
from train.tasks.synthesis import synthesise
from train.tasks.templates import TemplateWriter
from train.tasks.writer import Unwritten
from train.world.generate import generate

# The scripted judge counts words, and finds most of a false value in a true sentence.
LOW = 0.3
WORLD = generate(6, structures=36)


def _counted(funnel):
    return {name: count for name, count in funnel.dropped.items() if count}


class Spoiling(TemplateWriter):
    """The template writer, spoilt by functions of the card."""

    def __init__(self, **spoil):
        super().__init__()
        object.__setattr__(self, "spoil", spoil)

    async def draft(self, card):
        draft = await super().draft(card)
        return self.spoil["draft"](card, draft) if "draft" in self.spoil else draft

    async def query(self, card, draft):
        query = await super().query(card, draft)
        return self.spoil["query"](card, query) if "query" in self.spoil else query

    async def reassess(self, query, card, draft):
        made = list(await super().reassess(query, card, draft))
        return self.spoil["roles"](card, made) if "roles" in self.spoil else made


async def test_a_kept_task_is_a_case_without_a_report_that_the_client_takes(mini):
    funnel = Funnel("tasks")
    samples = await synthesise(deal(WORLD, 8, label="t"), TemplateWriter(), mini, funnel)
    assert funnel.total == 8
    assert funnel.kept == len(samples) >= 5
    for sample in samples:
        case = as_case(sample, world_seed=6)
        criteria = make_criteria(case["criteria"])
        roles = {criterion.role for criterion in criteria}
        assert roles == set(Role)
        assert 7 <= len(criteria) <= 12
        assert all((c.weight < 0) == (c.role is Role.NEGATIVE) and 1 <= abs(c.weight) <= 5 for c in criteria)
        assert case["meta"]["judge_id"].startswith("mini")
        assert 0.6 <= case["meta"]["agreement"] <= 1
        assert len(case["meta"]["reasons"]) == len(criteria)
        # Nothing that a report must find is given away.
        asked = [(thing, name) for thing in sample.card.subjects for name in sample.card.asked]
        assert not any(thing.claim(name) in case["query"] for thing, name in asked)


async def test_the_same_cards_give_the_same_tasks(judge):
    cards = deal(WORLD, 12, label="t")
    once = await synthesise(cards, TemplateWriter(), judge, Funnel("a"), agreement=LOW)
    again = await synthesise(cards, TemplateWriter(), judge, Funnel("b"), agreement=LOW)
    assert once == again


async def test_a_query_wider_than_its_rubric_changes_a_role_and_is_dropped(judge):
    funnel = Funnel("tasks")
    await synthesise(deal(WORLD, 120, label="wide"), TemplateWriter(), judge, funnel, agreement=LOW)
    assert funnel.dropped["role changed"] >= 3
    assert "->" in funnel.examples["role changed"]


async def test_a_changed_role_drops_the_sample_with_its_reason(judge):
    def change(card, made):
        return [Assessment(Role.IMPLICIT, "Nobody asks."), *made[1:]]

    funnel = Funnel("tasks")
    assert await synthesise(deal(WORLD, 1, label="t"), Spoiling(roles=change), judge, funnel, agreement=LOW) == []
    assert _counted(funnel) == {"role changed": 1}
    assert "explicit -> implicit" in funnel.examples["role changed"]
    assert "Nobody asks." in funnel.examples["role changed"]


async def test_a_summary_that_the_rubric_does_not_fit_is_dropped_by_the_judge(judge):
    def other_summary(card, draft):
        return Draft("Bread is baked in ovens.", draft.items)

    funnel = Funnel("tasks")
    assert await synthesise(deal(WORLD, 3, label="t"), Spoiling(draft=other_summary), judge, funnel) == []
    assert funnel.dropped["irrelevant criterion"] + funnel.dropped["role changed"] == 3
    assert funnel.dropped["irrelevant criterion"] >= 2


def _as_drafted(card, made):
    """Roles as they were: it is the judge that has to see what is wrong."""
    return [Assessment(item.criterion.role, "As drafted.") for item in DRAFTS[card.id].items]


DRAFTS: dict[str, Draft] = {}


async def test_the_query_of_another_thing_is_dropped_though_all_else_agrees(mini):
    cards = [card for card in deal(WORLD, 6, label="t") if len(card.subjects) == 1]
    DRAFTS.update({card.id: await TemplateWriter().draft(card) for card in cards})
    others = dict(zip((card.id for card in cards), [*cards[1:], cards[0]], strict=True))
    asked = {name: await TemplateWriter().query(other, DRAFTS[other.id]) for name, other in others.items()}
    writer = Spoiling(query=lambda card, query: asked[card.id], roles=_as_drafted)
    funnel = Funnel("tasks")
    assert await synthesise(cards, writer, mini, funnel) == []
    assert _counted(funnel) == {"answers another query": len(cards)}


async def test_a_summary_that_holds_a_flaw_is_dropped_however_much_else_it_satisfies(mini):
    """The blog's value beside the true one: one flaw of three, in a mean of eight or more."""
    cards = [card for card in deal(WORLD, 24, label="t") if len(card.subjects) == 1 and card.contested][:4]

    def spoilt(card, draft):
        first = card.subjects[0]
        made = Draft(f"{draft.summary} {first.statement(first.contested, value=first.false_value)}", draft.items)
        DRAFTS[card.id] = made
        return made

    funnel = Funnel("tasks")
    assert await synthesise(cards, Spoiling(draft=spoilt, roles=_as_drafted), mini, funnel) == []
    assert _counted(funnel) == {"summary with a flaw": len(cards)}
    assert len(cards) >= 4


async def test_a_criterion_without_a_verdict_drops_the_sample_and_is_no_score(judge):
    def unscored(card, draft):
        first = draft.items[0]
        criterion = dataclasses.replace(first.criterion, text="[[unscored=too_long]] " + first.criterion.text)
        return Draft(draft.summary, (dataclasses.replace(first, criterion=criterion), *draft.items[1:]))

    funnel = Funnel("tasks")
    assert await synthesise(deal(WORLD, 2, label="t"), Spoiling(draft=unscored), judge, funnel, agreement=LOW) == []
    assert funnel.dropped["unscored"] + funnel.dropped.get("role changed", 0) == 2


async def test_what_a_writer_cannot_write_is_counted(judge):
    def fail(card, draft):
        raise Unwritten("no JSON")

    funnel = Funnel("tasks")
    assert await synthesise(deal(WORLD, 3, label="t"), Spoiling(draft=fail), judge, funnel, agreement=LOW) == []
    assert (_counted(funnel), funnel.examples, funnel.kept) == ({"unreadable": 3}, {"unreadable": "no JSON"}, 0)


def test_the_funnel_shows_what_is_left_after_each_filter(capsys):
    funnel = Funnel("tasks", total=10)
    funnel.drop("role changed", "[why]", 3)
    funnel.drop("inconsistent")
    show([funnel])
    shown = capsys.readouterr().out
    assert "role changed" in shown
    assert "[why]" in shown  # and no markup
    assert [cell.strip() for line in shown.splitlines() if "inconsistent" in line for cell in line.split("│")][3:5] == [
        "1",
        "6",
    ]


@pytest.mark.parametrize("number", range(3))
async def test_comparisons_name_both_things_and_say_which_a_criterion_is_about(number, judge):
    cards = [card for card in deal(WORLD, 18, label="t") if len(card.subjects) == 2]
    writer = TemplateWriter()
    draft = await writer.draft(cards[number])
    query = await writer.query(cards[number], draft)
    assert all(thing.called in query for thing in cards[number].subjects)
    explicit = [criterion.text for criterion in draft.criteria if criterion.role is Role.EXPLICIT]
    assert all(sum(thing.called in text for thing in cards[number].subjects) == 1 for text in explicit)
