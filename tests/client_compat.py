"""Does the client run on the core install alone, with the oldest and the newest protobuf and grpcio that it allows?

    python tests/client_compat.py

Makes one bare virtual environment for each of them in a temporary folder, starts a scripted server with this Python,
and lets `inside` speak to it from there. Exit code 1 where one fails.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Awaitable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PINS = {
    "oldest": ("grpcio==1.62.3", "protobuf==4.25.8", "googleapis-common-protos==1.63.0", "pydantic==2.7.0"),
    "newest": ("protobuf>=7,<8",),
}
SERVER = """
import asyncio
from judger.config import ServeConfig
from judger.engines.scripted import ScriptedEngine
from judger.server.process import running

async def main():
    async with running(ServeConfig(engine="scripted", port=0, grace=1.0), ScriptedEngine()) as server:
        print(server.address, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def inside(address: str) -> None:
    """In the bare environment: every RPC, errors with details, JSON, the blocking facade, a fork."""
    import importlib.util
    import json
    from importlib.metadata import version

    from judger import wire
    from judger.client import connect, connect_blocking, rewards
    from judger.errors import InvalidRequest, JudgeMismatch, JudgerError
    from judger.types import Case, Criterion, Judgement
    from judger.v1 import judger_pb2 as pb

    for heavy in ("torch", "transformers", "numpy", "yaml", "grpc_health"):
        assert importlib.util.find_spec(heavy) is None, f"{heavy} is here: no bare environment"
    case = Case(id="1", query="", report="an apple", criteria=(Criterion(id="c", text="apple"),))

    async def failure(call: Awaitable[object]) -> JudgerError | None:
        try:
            await call
        except JudgerError as error:
            return error
        return None

    async def speak() -> None:
        async with connect(address, timeout=30.0) as client:
            await client.wait_ready()
            assert (await client.get_judge()).engine == "scripted"
            judgement = await client.judge("", "an apple", ["apple", {"text": "[[partially]]", "weight": -1.0}])
            assert judgement.reward.value == 0.0
            group = await client.judge_group_all("", ["an apple", "", "half \ud83d", "a pear"], ["apple"], blank=-1.0)
            assert rewards(group) == [1.0, -1.0, None, 0.0]
            many = await client.judge_many([case, {"report": "an apple", "criteria": '[{"text": "pear"}]'}, None])
            assert rewards(many) == [1.0, 0.0, None]
            answers = dict([pair async for pair in client.judge_stream([case] * 20, in_flight=4)])
            assert all(isinstance(answer, Judgement) for answer in answers.values())
            assert sorted(answers) == list(range(20))
            comparison = await client.compare("", "an apple", "a pear", ["apple"])
            assert comparison.preference == "a"
            raw = await client.judge_raw(pb.JudgeRequest(report="r", criteria=[pb.Criterion(text="[[not]]")]))
            printed = json.loads(wire.to_json(raw))
            assert (printed["index"], printed["verdicts"][0]["score"]["satisfied"]) == (0, False)
            assert printed["reward"]["value"] == 0.0
            group = pb.JudgeGroupRequest(reports=["a", "b"], criteria=[pb.Criterion(text="x")], mapping="TERNARY")
            assert wire.read_json(json.loads(wire.to_json(group)), pb.JudgeGroupRequest) == group
            refused = await failure(client.judge_raw(pb.JudgeRequest(report="r")))
            assert isinstance(refused, InvalidRequest)
            assert refused.field == "criteria"
            assert wire.connect_error(refused)["details"][0]["debug"]["field_violations"][0]["field"] == "criteria"
        async with connect(address, judge_id="another") as client:
            refused = await failure(client.judge_case(case))
            assert isinstance(refused, JudgeMismatch)
            assert refused.wanted == "another"

    asyncio.run(speak())
    blocking = connect_blocking(address)
    assert blocking.judge_case(case).reward.value == 1.0
    from judger.integrations import areal, openrlhf, slime, trl, verl

    assert all((openrlhf, slime, trl, verl))  # each needs the client alone
    assert areal.ChecklistReward(address)("", "an apple", rubric='["apple"]') == 1.0
    child = os.fork()
    if child == 0:
        os._exit(0 if blocking.judge_case(case).reward.value == 1.0 else 1)
    assert os.waitpid(child, 0)[1] == 0, "the client failed after a fork"
    print(f"grpcio {version('grpcio')}, protobuf {version('protobuf')}, pydantic {version('pydantic')}", flush=True)


def bare_environment(folder: Path, pins: tuple[str, ...]) -> Path:
    """The Python of an environment with the project's core dependencies and nothing else."""
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    venv.create(folder)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--no-compile", *dependencies, *pins], check=True)
    return python


def main() -> int:
    server = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    failed = False
    try:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        with tempfile.TemporaryDirectory() as folder:
            for name, pins in PINS.items():
                python = bare_environment(Path(folder) / name, pins)
                environment = {**os.environ, "PYTHONPATH": str(ROOT)}
                command = [python, "-P", str(Path(__file__)), "inside", address]  # -P: not tests/judger
                try:
                    code = subprocess.run(command, env=environment, cwd=folder, timeout=120).returncode
                except subprocess.TimeoutExpired:
                    code = 124
                print(f"client with the {name} pins: {'ok' if code == 0 else f'FAILED with {code}'}", flush=True)
                failed |= code != 0
    finally:
        server.terminate()
        server.wait()
    return int(failed)


if __name__ == "__main__":
    if sys.argv[1:2] == ["inside"]:
        inside(sys.argv[2])
    else:
        sys.exit(main())
