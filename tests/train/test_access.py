"""How training reaches its judge: token, TLS and pin against a real server, and runs that refuse another judge."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest

from judger.config import ServeConfig
from judger.engines.scripted import ScriptedEngine
from judger.errors import JudgeMismatch
from judger.server.callers import new_token
from judger.server.process import Running, running
from judger.types import Case, Criterion
from policy.config import Settings
from policy.errors import ConfigError
from policy.rollouts import Task
from tests.train.rl.conftest import make_tokenizer
from train.access import JudgeAccess
from train.cli import build_parser
from train.rl.config import RLSettings
from train.rl.episodes import Order, Rollout
from train.rl.reward import Rewards
from train.rl.setup import Inputs, check_same_run
from train.verl.reward import compute_score

CASE = Case(id="a", query="", report="A report.", criteria=(Criterion(id="c", text="[[fully]]"),))


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate of this machine's, and its key."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", key, "-out", cert],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


async def test_a_judge_behind_a_token_and_tls_is_reached_by_plain_values(tmp_path: Path, pair: tuple[Path, Path]):
    cert, key = pair
    tokens, mine = tmp_path / "tokens.toml", tmp_path / "token"
    token, table = new_token("trainer")
    tokens.write_text(table)
    mine.write_text(token + "\n")
    config = ServeConfig(engine="scripted", port=0, grace=1, tokens=tokens, tls_cert=cert, tls_key=key)
    async with running(config, ScriptedEngine()) as server:
        access = JudgeAccess.checked(address=server.address, token_file=str(mine), ca=str(cert), timeout=20)
        async with access.connect() as client:
            assert (await client.judge_case(CASE)).reward.value == 1.0
        figures = await compute_score(
            "t", "", '[{"text": "[[fully]]"}]', {"report": "x"},
            address=server.address, token_file=str(mine), ca=str(cert), timeout=20,
        )  # fmt: skip
        assert figures["score"] == 1.0


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"token_file": "/nowhere"}, "--token-file: /nowhere has no token"),
        ({"ca": "/nowhere"}, "--ca: /nowhere can't be read"),
        ({"cert": __file__}, "--cert: "),
        ({"address": "nowhere"}, "--addr: "),
        ({"timeout": 0}, "--timeout: "),
    ],
)
def test_what_is_wrong_is_named_by_its_flag(values, said):
    with pytest.raises(ConfigError, match=f"^{said}"):
        JudgeAccess.checked(**{"address": "127.0.0.1:1", **values}).connect()


@pytest.mark.parametrize("stage", ["rl", "evaluate", "tasks"])
def test_every_stage_that_asks_a_judge_takes_the_same_flags(stage):
    more = {"rl": ["--model", "m", "--tasks", "t"], "evaluate": ["--model", "m", "--tasks", "t"], "tasks": []}[stage]
    given = ["--addr", "h:1", "--token-file", "t", "--ca", "c", "--judge-id", "j", "-o", "out"]
    args = build_parser().parse_args([stage, *more, *given])
    assert JudgeAccess.of(args) == JudgeAccess(address="h:1", token_file=Path("t"), ca=Path("c"), judge_id="j")


async def test_a_judge_that_is_replaced_in_mid_run_stops_it(scripted_server: Running):
    """Its rewards are those of another run: they leave no episode out, and count in none."""
    access = JudgeAccess(address=scripted_server.address, judge_id="the one before")
    async with access.connect() as client, Rewards(client).open() as judging:
        judging.add(0, Rollout(order=Order(Task("t", "q", CASE.criteria), 0, 0), report="A report."))
        with pytest.raises(JudgeMismatch):
            async with asyncio.timeout(30):
                await judging.finish()


def test_a_run_goes_on_with_its_own_judge_and_tasks_alone(tmp_path: Path):
    tasks = tmp_path / "tasks.jsonl"
    tasks.write_text('{"id": "1"}\n')
    inputs = Inputs("model", make_tokenizer(), [], Settings())

    def check(judge_id: str, **changed: float) -> None:
        settings = RLSettings.model_validate(changed)
        check_same_run(tmp_path / "run", inputs, tasks, settings, "ppo", judge_id=judge_id)

    check("j1")
    check("j1")
    check("j1", steps=9, linger=60)
    with pytest.raises(ConfigError, match=r"other settings \(judge_id\)"):
        check("j2")
    tasks.write_text('{"id": "2"}\n')
    with pytest.raises(ConfigError, match=r"other settings \(tasks\)"):
        check("j1")
