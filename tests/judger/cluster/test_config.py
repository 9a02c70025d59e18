"""Settings of a judge on Ray, and the parts that need no Ray."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from judger.cli import main
from judger.cluster.calls import TIME_LEFT, Call
from judger.cluster.config import NOT_ON_RAY, ClusterConfig
from judger.cluster.scaling import QUEUED_TOKENS, QueuedTokens


def test_what_replicas_are_given_comes_back_whole() -> None:
    config = ClusterConfig(engine="scripted", lane_weights=(5, 2, 1), tokens="/etc/tokens.toml", max_replicas=4)
    assert ClusterConfig(**config.model_dump(mode="json", exclude_defaults=True)) == config


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"host": "0.0.0.0"}, "every address"),
        ({"cache": "verdicts.db"}, "one server"),
        ({"tls_cert": "a.pem"}, "RAY_USE_TLS"),
        ({"http_port": 80}, "gateway"),
        ({"gpus_per_replica": 1.5}, "share of one GPU"),
        ({"replicas": 4, "max_replicas": 2}, "at least 4"),
        ({"min_replicas": 3, "max_replicas": 2}, "at least 3"),
        ({"replica": 2}, "Extra inputs"),
    ],
)
def test_a_setting_that_means_nothing_on_ray_is_refused(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        ClusterConfig(**settings)
    assert set(NOT_ON_RAY) <= set(ClusterConfig.model_fields)


def test_the_flags_of_ray_are_for_ray(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--engine", "scripted", "--replicas", "2"]) == 2
    assert "--replicas: is for --ray" in capsys.readouterr().err
    assert main(["serve", "--ray", "--engine", "scripted", "--cache", "x.db"]) == 2
    assert "--cache-redis" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("told", "wanted"),
    [({}, 3), ({"a": 0.0, "b": 0.0}, 1.0), ({"a": 900.0, "b": 1100.0}, 20.0), ({"a": 50.0, "b": 150.0}, 2.0)],
)
def test_replicas_are_wanted_by_their_queued_tokens(told: dict[str, float], wanted: float) -> None:
    metrics = {QUEUED_TOKENS: told} if told else {}
    context = SimpleNamespace(aggregated_metrics=metrics, target_num_replicas=3)
    assert QueuedTokens(100)(context) == (wanted, {})


@pytest.mark.parametrize(
    ("sent", "least", "most"), [("90.0", 60.0, 90.0), ("soon", 0.0, 0.0), ("inf", 0.0, 0.0), ("-1", 0, 0)]
)
def test_a_deadline_travels_as_metadata(sent: str, least: float, most: float) -> None:
    def call(*metadata: tuple[str, str]) -> Call:
        return Call(SimpleNamespace(invocation_metadata=lambda: metadata))

    left = call((TIME_LEFT, sent)).time_remaining()
    assert left is not None
    assert least <= left <= most
    assert call().time_remaining() is None
