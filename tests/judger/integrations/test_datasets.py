"""The judge in a `map` of the datasets library."""

from __future__ import annotations

import pytest
from datasets import Dataset

from judger.errors import InvalidRequest
from judger.integrations._common import Unjudged
from judger.integrations.datasets import Judged, judged

ROWS = {
    "prompt": ["fruit?"] * 4,
    "report": ["an apple", "a pear", "", "an apple"],
    "rubric": ['["apple"]', '["apple"]', '["apple"]', '["apple", "[[unscored=unparsable]]"]'],
}


@pytest.mark.filterwarnings("ignore")
def test_a_data_set_gets_rewards_and_why_there_are_none(address: str) -> None:
    data = judged(Dataset.from_dict(ROWS), address, map_options={"batch_size": 2})
    assert data["reward"][:] == [1.0, 0.0, None, None]
    assert data["unscored"][:2] == [None, None]
    assert "blank" in data["unscored"][2]
    assert "unparsable" in data["unscored"][3]


@pytest.mark.filterwarnings("ignore")
def test_a_first_batch_without_a_reward_does_not_end_the_map(address: str) -> None:
    rows = {name: list(reversed(column)) for name, column in ROWS.items()}
    data = judged(Dataset.from_dict(rows), address, map_options={"batch_size": 1})
    assert data["reward"][:] == [None, None, 0.0, 1.0]


def test_what_only_the_moment_is_to_blame_for_is_not_kept_as_a_none(address: str) -> None:
    with pytest.raises(Unjudged):
        Judged(address, timeout=0.2, patience=0.0)({"report": ["a"], "rubric": [["[[slow=1]]"]]})


def test_rows_without_the_columns_or_one_at_a_time_are_refused(address: str) -> None:
    with pytest.raises(InvalidRequest, match="rubric: is no column"):
        Judged(address)({"report": ["a"]})
    with pytest.raises(InvalidRequest, match="batched=True"):
        Judged(address)({"report": "a", "rubric": '["a"]'})
