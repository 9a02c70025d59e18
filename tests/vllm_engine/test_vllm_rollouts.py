"""RL's rollouts by vLLM's own server: what it samples and says of it, and that it takes the weights it is given."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.judger.engines.generative import tiny
from tests.vllm_engine.served import served
from train.rl.colocated import Colocated
from train.rl.config import ColocatedSettings, VLLMSettings
from train.rl.decode import Row, Written
from train.rl.writer import SamplerLost, Served

SHAPE = {"hidden_size": 128, "head_dim": 64, "initializer_range": 0.08, "max_position_embeddings": 2048}
ENDS = frozenset({2})
PROMPTS = [[5, 6, 7], [11, 12, 13, 14, 15], [9] * 40]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """What the server begins with, and what a learner has made of it."""
    first, second = tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second")
    tiny.save(first, **SHAPE)
    shutil.copytree(first, second, dirs_exist_ok=True)
    model = AutoModelForCausalLM.from_pretrained(first)
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.02 * torch.randn_like(weight))
    model.save_pretrained(second)
    return first, second


@pytest.fixture(scope="module")
def writer(models: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("weights") / "sampler"

    def save(path: Path) -> None:
        shutil.copytree(models[1], path, dirs_exist_ok=True)

    with served(models[0], settings={"VLLM_SERVER_DEV_MODE": "1"}) as server:
        settings = VLLMSettings(url=server.url.removesuffix("/v1"), model="tiny", sync="disk")
        found = Served(settings, folder=folder, is_main=True, device="cpu", weights=lambda: (), save=save)
        yield found
        found.close()


def rows(seed: int = 0) -> list[Row]:
    random = torch.Generator().manual_seed(seed)
    return [Row(ids, None, torch.rand(12, generator=random, dtype=torch.float64)) for ids in PROMPTS]


def check(found: list[Written], folder: Path) -> None:
    """The log-probabilities are those of the model in the folder, for exactly the tokens that were sampled."""
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    for ids, one in zip(PROMPTS, found, strict=True):
        assert one.has_ended == (one.ids[-1] in ENDS)
        assert one.has_ended or len(one.ids) == 12
        with torch.no_grad():
            logs = model(torch.tensor([ids + one.ids])).logits[0].log_softmax(-1)
        expected = [float(logs[len(ids) - 1 + i, token]) for i, token in enumerate(one.ids)]
        assert one.logprobs == pytest.approx(expected, abs=1e-3)


def test_the_server_samples_from_the_weights_it_was_given_last(writer: Served, models: tuple[Path, Path]) -> None:
    before = writer.write(rows(), ENDS, temperature=1.0)
    check(before, models[0])
    assert [one.ids for one in writer.write(rows(), ENDS, temperature=1.0)] == [one.ids for one in before]
    assert [one.ids for one in writer.write(rows(1), ENDS, temperature=1.0)] != [one.ids for one in before]
    writer.refresh()
    check(writer.write(rows(), ENDS, temperature=1.0), models[1])


@pytest.fixture(scope="module")
def beside(models: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Colocated]:
    def save(path: Path) -> None:
        shutil.copytree(models[1], path, dirs_exist_ok=True)

    folder = tmp_path_factory.mktemp("beside") / "sampler"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
        found = Colocated(models[0], ColocatedSettings(eager=True), folder=folder, dtype="float32", save=save)
        yield found
        found.close()


def test_beside_the_learner_it_samples_from_the_weights_it_was_given_last(
    beside: Colocated, models: tuple[Path, Path]
) -> None:
    before = beside.write(rows(), ENDS, temperature=1.0)
    check(before, models[0])
    assert [one.ids for one in beside.write(rows(), ENDS, temperature=1.0)] == [one.ids for one in before]
    assert [one.ids for one in beside.write(rows(1), ENDS, temperature=1.0)] != [one.ids for one in before]
    with pytest.raises(SamplerLost, match="vLLM"):
        beside.write([Row([5] * 4000, None, torch.rand(4, dtype=torch.float64))], ENDS, temperature=1.0)
    beside.refresh()
    check(beside.write(rows(), ENDS, temperature=1.0), models[1])


def test_a_prompt_that_the_server_refuses_is_an_error_and_no_reply(writer: Served) -> None:
    with pytest.raises(SamplerLost, match="400"):
        writer.write([Row([5] * 4000, None, torch.rand(4, dtype=torch.float64))], ENDS, temperature=1.0)
