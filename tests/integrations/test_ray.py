"""A real Ray on this machine: the function travels to its workers, and a null stays out of the mean."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from judger.errors import InvalidRequest


@pytest.fixture
def ray() -> Iterator[Any]:
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=100 * 2**20)
    yield ray
    ray.shutdown()


def test_a_data_set_gets_rewards_and_nulls_with_their_reason(address: str, ray: Any) -> None:
    from judger.integrations.ray import Judged, judged

    rubrics = ['["apple", "pear"]', '["[[unscored=too_long]]"]', '["apple"]']
    rows = [{"prompt": "fruit?", "report": "an apple", "rubric": rubric} for rubric in rubrics]
    data = judged(ray.data.from_items(rows), address, batch_size=1).materialize()
    assert sorted(data.take_all(), key=lambda row: rubrics.index(row["rubric"])) == [
        {**rows[0], "reward": 0.5, "unscored": None},
        {**rows[1], "reward": None, "unscored": "c1 is unscored (too_long: scripted)"},
        {**rows[2], "reward": 1.0, "unscored": None},
    ]
    assert data.mean("reward") == 0.75
    with pytest.raises(InvalidRequest, match="pyarrow"):
        Judged(address)({"report": ["a"], "rubric": ["b"]})
