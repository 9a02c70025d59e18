"""Whole runs over a loopback judge: the curve, its continuation after a kill, a judge that goes away, bad input."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from judger.client import connect
from tests.judger.cli.conftest import serving
from train.cli import main
from train.rl.collect import collect, figures, orders_of
from train.rl.episodes import Episodes, Order, Rollout
from train.rl.record import read_metrics
from train.rl.reward import JudgeLost, Rewards
from train.rl.sampler import Sampler
from train.rl.writer import Local

from .conftest import CONFIG, make_tasks

TIMES = ("seconds", "seconds/episodes", "judge_share")


def arguments(files: Path, tiny, judge: str, out: str = "run", **changed: str) -> list[str]:
    options = {
        "--model": str(tiny.folder),
        "--tasks": str(files / "tasks.jsonl"),
        "--settings": str(files / "settings.json"),
        "--addr": judge,
        "--config": str(files / "rl.toml"),
        "--steps": "4",
        "--judge-wait": "60",
        "-o": str(files / out),
        **{f"--{name.replace('_', '-')}": value for name, value in changed.items()},
    }
    return ["rl", "--cpu", *(word for pair in options.items() for word in pair)]


def curve(folder: Path) -> list[dict[str, float]]:
    rows = read_metrics(folder / "metrics.jsonl")
    return [{name: value for name, value in row.items() if name not in TIMES} for row in rows]


def equal(one: list[dict[str, float]], other: list[dict[str, float]]) -> bool:
    return len(one) == len(other) and all(
        a.keys() == b.keys() and all(a[name] == pytest.approx(b[name], abs=1e-5) for name in a)
        for a, b in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("algo", ["ppo", "grpo"])
def test_a_run_that_was_killed_goes_on_along_the_same_curve(algo, files, tiny, judge):
    """kill -9 between checkpoints of the first half, then the same command to the end, against a run left alone."""
    assert main([*arguments(files, tiny, judge, "whole"), "--algo", algo]) == 0
    whole = curve(files / "whole")
    assert [row["step"] for row in whole] == [1, 2, 3, 4]
    assert all("reward" in row and "role/explicit" in row and "watch/copied" in row and "kl" in row for row in whole)

    command = [sys.executable, "-m", "train.cli", *arguments(files, tiny, judge, "killed"), "--algo", algo]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        while len(read_metrics(files / "killed/metrics.jsonl")) < 3:
            ended = process.poll() is not None
            assert not ended or len(read_metrics(files / "killed/metrics.jsonl")) >= 3, process.stderr.read().decode()
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    # What a kill in the midst of a checkpoint leaves.
    (files / "killed/checkpoints/.step-000004.part").mkdir(exist_ok=True)
    if algo == "grpo":
        (files / "killed/checkpoints/checkpoint-4").mkdir(exist_ok=True)
    assert main([*arguments(files, tiny, judge, "killed"), "--algo", algo]) == 0
    assert equal(curve(files / "killed"), whole)
    assert (files / "killed/model/chat_template.jinja").exists()


@pytest.mark.parametrize("algo", ["ppo", "grpo"])
def test_reports_out_of_bounds_stop_the_run_and_wider_bounds_let_it_go_on(algo, files, tiny, judge, capsys):
    bounds = CONFIG + "[watch]\nmax_words = 1\nsteps = 2\n"
    (files / "rl.toml").write_text(bounds, encoding="utf-8")
    command = [*arguments(files, tiny, judge, steps="2"), "--algo", algo]
    assert main(command) == 3
    assert "words are over 1; read the reports" in capsys.readouterr().err
    assert len(curve(files / "run")) == 1
    (files / "rl.toml").write_text(bounds.replace("max_words = 1", "max_words = 1000"), encoding="utf-8")
    assert main(command) == 0
    assert len(curve(files / "run")) == 2


def test_ppo_learns_what_the_judge_rewards(files, tiny, judge):
    """From a policy that fails often, and is left alone while the critic warms up; its own judged reward."""
    config = CONFIG.replace("group = 2", "group = 16").replace("temperature = 1.5", "temperature = 1.25")
    config = config.replace("minibatches = 2", "minibatches = 2\ncritic_warmup = 4")
    (files / "rl.toml").write_text(config, encoding="utf-8")
    assert main([*arguments(files, tiny, judge, steps="14"), "--algo", "ppo"]) == 0
    rewards = [row["reward"] for row in curve(files / "run")]
    assert sum(rewards[-3:]) / 3 > sum(rewards[:4]) / 4 > 0
    assert (files / "run/runs").is_dir()


def test_a_judge_that_goes_away_stops_the_run_with_its_state_saved(files, tiny, judge, capsys):
    """Then, with a judge there again, the same command goes on along the curve."""
    assert main([*arguments(files, tiny, judge, "whole", steps="3"), "--algo", "ppo"]) == 0
    with serving("--grace", "0") as (address, server):
        more = {"steps": "200", "judge_wait": "5"}  # so that the run can't end before the judge has gone
        run = [sys.executable, "-m", "train.cli", *arguments(files, tiny, address, "lost", **more), "--algo", "ppo"]
        with subprocess.Popen(run, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
            while not read_metrics(files / "lost/metrics.jsonl"):
                assert process.poll() is None, process.stderr.read()
                time.sleep(0.05)
            os.kill(server.pid, signal.SIGKILL)
            said = process.stderr.read()
            assert process.wait() == 3
    assert "stopped answering" in said
    assert "the state is saved" in said
    assert main([*arguments(files, tiny, judge, "lost", steps="3"), "--algo", "ppo"]) == 0
    assert equal(curve(files / "lost")[:3], curve(files / "whole"))


def test_evaluate_gives_the_mean_reward_with_intervals(files, tiny, judge):
    command = arguments(files, tiny, judge)
    keep = [
        w for name in ("--model", "--tasks", "--settings", "--addr") for w in (name, command[command.index(name) + 1])
    ]
    out = files / "out.json"
    assert main(["evaluate", *keep, "-o", str(out), "--samples", "2", "--turn-tokens", "40", "--at-once", "5"]) == 0
    outcome = json.loads(out.read_text())
    rows = [json.loads(line) for line in out.with_suffix(".episodes.jsonl").read_text().splitlines()]
    assert len(rows) == 8
    assert outcome["reward"]["low"] <= outcome["reward"]["value"] <= outcome["reward"]["high"]
    mean = sum(row["reward"] for row in rows if row["reward"] is not None) / len(rows)
    assert outcome["reward"]["value"] == pytest.approx(mean)
    assert set(outcome["roles"]) == {"explicit", "implicit", "negative"}


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ("criteria", "criteria: there are none"),
        ("markers", "generation"),
        ("tools", "does not show the tools"),
        ("judge", "is not ready"),
        ("settings", "kl: Input should be"),
        ("model", "no tokenizer can be loaded"),
        ("judge_id", "--judge-id: the judge at"),
        ("token", "token_file: "),
        ("search", "brave needs a key in SEARCH_API_KEY"),
        ("other", "other settings (lr)"),
    ],
)
def test_bad_input_exits_2_before_any_model_is_loaded(spoil, said, files, tiny, judge, capsys, monkeypatch):
    monkeypatch.setattr("transformers.AutoModelForCausalLM.from_pretrained", lambda *_, **__: pytest.fail("loaded"))
    changed = {}
    template = tiny.tokenizer.chat_template
    match spoil:
        case "criteria":
            (files / "tasks.jsonl").write_text('{"id": "a", "query": "b"}\n', encoding="utf-8")
        case "markers" | "tools":
            text = template.replace("{% generation %}", "").replace("{% endgeneration %}", "")
            if spoil == "tools":
                text = template.replace("{{ t.function.name }}", "")
            tiny.tokenizer.save_pretrained(files / "model")
            shutil.copy(tiny.folder / "config.json", files / "model")
            (files / "model/chat_template.jinja").write_text(text, encoding="utf-8")
            changed["model"] = str(files / "model")
        case "judge":
            changed |= {"addr": "127.0.0.1:1", "judge_wait": "0.3"}
        case "settings":
            (files / "rl.toml").write_text("kl = -1\n", encoding="utf-8")
        case "model":
            changed["model"] = str(files / "nowhere")
        case "judge_id":
            changed["judge_id"] = "another"
        case "token":
            changed["token_file"] = str(files / "nowhere")
            said = "--token-file: "
        case "search":
            (files / "settings.json").write_text('{"search": {"provider": "brave"}}', encoding="utf-8")
        case "other":
            (files / "run").mkdir()
            (files / "run/settings.json").write_text('{"lr": 5}', encoding="utf-8")
            said = "holds a run with other settings"
    assert main([*arguments(files, tiny, judge, **changed), "--algo", "ppo"]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if "waiting for it" not in line]
    assert len(lines) == 1
    assert said in lines[0]


async def test_reports_are_judged_while_other_episodes_still_run(scripted_server, tiny, settings, shared):
    answered, ended = [], []  # hot samples, so that episodes end at different turns
    async with connect(scripted_server.address) as client, Rewards(client).open() as judging:

        class Waits(Local):
            """Where an episode has ended with a report, the others' next turn is written when that is judged."""

            def write(self, rows, ends, *, temperature):
                until = time.monotonic() + 60
                while (len(ended) < 24 - len(rows) or (judging._cases and not judging._answers)) and (
                    time.monotonic() < until
                ):
                    time.sleep(0.01)
                return super().write(rows, ends, temperature=temperature)

        sampler = Sampler(
            tiny.model, tiny.tokenizer, turn_tokens=40, temperature=1.5, linger=600, writer=Waits(tiny.model)
        )

        def on_end(position: int, rollout: Rollout) -> None:
            judging.add(position, rollout)
            ended.append(position)
            answered.append(len(judging._answers))

        await Episodes(settings, shared, sampler).run(orders_of(make_tasks(), 6, 0, 0), on_end)
        judged = await judging.finish()
        sampler.close()
    assert len(judged) == len(ended) == 24
    assert max(answered) > 0


async def test_what_cannot_be_scored_is_none_and_counted(scripted_server, tiny, settings, shared):
    task = make_tasks(1)[0]
    spoiled = type(task)("s", task.query, (type(task.criteria[0])(id="c", text="[[unscored=engine_error]] tide"),))
    async with connect(scripted_server.address) as client:
        sampler = Sampler(tiny.model, tiny.tokenizer, turn_tokens=40)
        batch = await collect(
            Episodes(settings, shared, sampler), Rewards(client), [Order(task, 0, 0), Order(spoiled, 0, 0)]
        )
        sampler.close()
    assert batch.judged[0].value is not None
    assert batch.judged[1].value is None
    assert figures(batch.judged)["unscored_share"] == 0.5


async def test_a_judge_that_never_answers_is_waited_for_and_then_given_up():
    said: list[str] = []
    async with connect("127.0.0.1:1", max_attempts=1) as client:
        with pytest.raises(JudgeLost):
            async with asyncio.timeout(60):
                await Rewards(client, wait=0.2, say=said.append).who()
    assert "waiting for it up to 0.2 s" in said[0]
