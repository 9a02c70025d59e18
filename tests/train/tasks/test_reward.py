"""The reward first: the built-in judge prefers reports that answer. The short form of benchmarks/world_reward.py."""

from __future__ import annotations

import random
import re

import pytest

from tests.benchmarks.world_reward import CORRUPTIONS, auc, good, make_tasks, rewards
from train.access import JudgeAccess
from train.tasks.judging import JudgeDown, open_judge

KEY = re.compile(r"\\cite\{([^}]*)\}")


async def test_the_built_in_judge_rewards_who_answers_and_not_who_copies_or_stuffs():
    tasks = await make_tasks(2, seed=7)
    draw = random.Random(7)
    reports = {"good": [good(task, draw) for task in tasks]}
    reports |= {name: [make(task, draw) for task in tasks] for name, make in CORRUPTIONS.items()}
    for times in (1, 2, 5):
        said = [(report, f"{report.rpartition('}. ')[2]}") for report in reports["good"]]
        reports[f"again {times}"] = [" ".join([report, *[last] * times]) for report, last in said]
    reports["twice"] = [f"{report}\n\n{report}" for report in reports["good"]]
    sentences = [report.removesuffix(".").split(". ") for report in reports["good"]]
    turned = [[". ".join(draw.sample(some, len(some))) + "." for _ in range(3)] for some in sentences]
    reports["thrice, in other orders"] = ["\n\n".join(some) for some in turned]
    # The heading of a list of sources does not say that they disagree.
    listed = ["Sources:\n" + "\n".join(f"- {key}" for key in sorted(set(KEY.findall(one)))) for one in reports["good"]]
    reports["sources"] = [f"{one}\n\n{some}" for one, some in zip(reports["good"], listed, strict=True)]
    few = [report.split("}. ")[0] + "}." for report in reports["good"]]
    reports |= {"one sentence": few, "one sentence thrice": [" ".join([report] * 3) for report in few]}
    async with open_judge(None) as judge:  # a process of its own, started for the block
        assert (await judge.get_judge()).engine == "mini"
        address = judge.settings.address
        values = iter(
            await rewards(
                judge, [(task, one) for some in reports.values() for task, one in zip(tasks, some, strict=True)]
            )
        )
    earned = {name: [next(values) for _ in some] for name, some in reports.items()}
    for name in ("checklist", "stuffed", "left out"):
        assert all(a > b for a, b in zip(earned["good"], earned[name], strict=True)), (name, earned)
    # A sentence said again earns nothing, least of all the citations that were asked for.
    for name in ("again 1", "again 2", "again 5", "twice", "thrice, in other orders", "sources"):
        assert all(a >= b for a, b in zip(earned["good"], earned[name], strict=True)), (name, earned)
    assert all(a >= b for a, b in zip(earned["one sentence"], earned["one sentence thrice"], strict=True)), earned
    assert auc(earned["good"], [value for name in CORRUPTIONS for value in earned[name]]) >= 0.9, earned
    # Gone with its block.
    with pytest.raises(JudgeDown, match="no judge answered"):
        async with open_judge(JudgeAccess(address=address), patience=0.2):
            pass


def test_the_area_under_the_curve_counts_pairs_and_half_of_the_ties():
    assert auc([1.0, 0.5], [0.5, 0.0]) == 0.875
    assert auc([0.2], [0.2]) == 0.5
