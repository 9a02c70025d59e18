"""The recipe of a generative judge from end to end, with a random model of a few thousand parameters."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from judger.engines.base import VERDICT_TIER, Tier
from judger.engines.torch import TorchEngine
from judger.types import Explain, Probabilities
from tests.judger.engines.generative import tiny
from tests.judger.engines.generative.endpoint import completion, serving
from train.cli import main
from train.judge.generative.data import read_cases
from train.judge.generative.recipe import Recipe, run
from train.judge.generative.rewards import WEIGHTS
from train.judge.generative.settings import Settings

MEANS = {
    "not_satisfied": ("cost", "risk", "market"),
    "partially_satisfied": ("energy", "storage", "source"),
    "fully_satisfied": ("wind", "solar", "grid"),
}
"""What there is to learn: a criterion's label follows from the word it names."""


def line(number: int, rng: random.Random) -> dict[str, Any]:
    chosen = [(label, rng.choice(words)) for label, words in MEANS.items()]
    rng.shuffle(chosen)
    return {
        "id": f"case-{number}",
        "query": "",
        "report": f"report {number} names " + " ".join(rng.sample(tiny.WORDS, 4)),
        "criteria": [
            {"id": f"c{i}", "text": " ".join([word] * 12), "weight": 1.0, "label": label}
            for i, (label, word) in enumerate(chosen)
        ],
    }


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    rng = random.Random(0)
    for part, count in (("train", 24), ("eval", 5)):
        (folder / part).mkdir()
        # Numbers of as many digits on both sides: so small a model also learns where in the prompt a word stands.
        lines = [json.dumps(line(number + (10 if part == "train" else 50), rng)) for number in range(count)]
        (folder / part / "toy.jsonl").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.manual_seed(0)
    return tiny.save(tmp_path_factory.mktemp("model"), hidden_size=64, intermediate_size=128, head_dim=16)


def teacher(request: dict[str, Any]) -> Any:
    """A teacher who knows: reason, quote and the right label."""
    prompt = request["messages"][-1]["content"]
    word = prompt.rstrip().rsplit(" ", 1)[-1]
    label = next(label for label, words in MEANS.items() if word in words).split("_")[0]
    return completion(f"Reason: {word}.\nQuote: none\nVerdict: {label}")


# With 60 steps one seed of three is not there yet, and another processor's rounding is as good as another seed.
STEPS = "--batch 8 --micro-batch 8 --learning-rate 6e-3 --sft-steps 90 --save-steps 48 --rl-steps 1".split()
KEY = "the key of this test, nobody's secret"
"""Each run makes one, and its fences are other tokens: one draw of some dozens leaves so small a model short of it."""
STEPS += "--generations 4 --prompts-per-step 2 --reason-tokens 24".split()


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def test_it_trains_a_judge_that_can_be_served(
    data: Path, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "fence.key").write_text(KEY)
    command = ["judge", "--engine", "torch", "--model", model, "--data", str(data), "--out", str(out), *STEPS]
    with serving() as endpoint:
        endpoint.answer = teacher
        taught = ["--teacher-url", endpoint.url, "--teacher-model", "knows"]
        assert main([*command, *taught]) == 0
        asked = len(endpoint.requests)
        first, checkpoint = weights(out / "sft" / "model"), out / "sft" / "checkpoint-48"
        made = checkpoint.stat().st_mtime_ns

        (out / "sft" / "log.json").unlink()  # as if it had been interrupted some steps behind the checkpoint
        shutil.rmtree(out / "sft" / "checkpoint-90")
        assert main([*command, *taught]) == 0
        assert len(endpoint.requests) == asked
        assert checkpoint.stat().st_mtime_ns == made
    again = weights(out / "sft" / "model")
    assert all(torch.equal(first[name], again[name]) for name in first)

    figures = json.loads((out / "figures.json").read_text())
    assert figures["teacher"] == {"taken": asked}
    assert figures["sft"]["samples"] == {"explained": asked, "verdict": asked}
    assert figures["sft"]["tokens"] < 0.6 * figures["sft"]["tokens_alone"]  # three criteria a report, of a few words
    assert figures["sft"]["loss"]["last"] < 0.2 * figures["sft"]["loss"]["first"]
    assert set(figures["rl"]) == {f"rewards/{name}/mean" for name in WEIGHTS}
    assert figures["rl"]["rewards/format/mean"]["last"] > 0.5
    before, after = (figures["agreement"][when] for when in ("before", "after"))
    assert before["toy"]["balanced_accuracy"] < 0.75
    assert after["toy"]["balanced_accuracy"] > 0.8
    assert after["held out: toy"]["balanced_accuracy"] > 0.8

    engine = TorchEngine.load(str(out), device="cpu")
    (case, *_) = read_cases(data / "eval")["toy"]
    plain, explained = (
        engine.run([engine.plan(case, tier)])[0] for tier in (VERDICT_TIER, Tier(explain=Explain.ALWAYS))
    )
    assert all(isinstance(outcome.result, Probabilities) for outcome in plain)
    assert any(isinstance(outcome.result, Probabilities) and outcome.rationale for outcome in explained)
    assert "judger serve --engine torch" in capsys.readouterr().out

    assert main([*command, "--seed", "1"]) == 2
    assert "other settings" in capsys.readouterr().err


@pytest.mark.parametrize("lone", [False, True])
def test_lora_is_merged_into_weights_that_load_like_any_others(
    lone: bool, data: Path, model: str, tmp_path: Path
) -> None:
    settings = Settings(
        sft_steps=2, batch=4, micro_batch=2, learning_rate=1e-2, rl_steps=0, lora_rank=2, lone_prompts=lone
    )
    out = tmp_path / "out"
    figures = run(Recipe(model=model, data=data, out=out, settings=settings))
    assert "rl" not in figures
    assert not list(out.glob("adapter*"))
    before, after = weights(Path(model)), weights(out)
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all("proj" in name for name in changed)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ([], "--model"),
        (["--model", "m", "--teacher-url", "http://x"], "--teacher-model"),
        (["--model", "m", "--batch", "6"], "micro-batches"),
        (["--model", "/nowhere/nothing"], "/nowhere/nothing: can't be loaded"),
    ],
)
def test_what_can_t_be_trained_with_says_so(
    data: Path, tmp_path: Path, options: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["judge", "--engine", "torch", "--data", str(data), "--out", str(tmp_path / "o"), *options]) == 2
    assert reason in capsys.readouterr().err
