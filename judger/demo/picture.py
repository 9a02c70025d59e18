"""`make picture`: one of the demo's reports as `judger score` shows it, as an SVG for the README."""

from __future__ import annotations

import asyncio
import io
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI

from judger.cli.table import case_table
from judger.client import connect
from judger.config import ServeConfig
from judger.demo import CASES
from judger.rubric import read_cases
from judger.server.process import running
from judger.types import Case, Judgement

CASE = "film"
WIDTH = 100
CONFIG = ServeConfig.model_validate({"port": 0, "grace": 0.0, "judge_all": True})


async def judged(case: Case) -> Judgement:
    """The case's judgement by the built-in judge, through a server as ever."""
    async with running(CONFIG) as server, connect(server.address) as client:
        return await client.judge(case.query, case.report, case.criteria, request_id=case.id)


def draw(case: Case, judgement: Judgement, path: Path) -> None:
    """Writes the table. No font is fetched: whoever shows the picture has one of fixed width."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(case_table(case, judgement, width=WIDTH))
    svg = console.export_svg(title="judger score cases.jsonl", theme=MONOKAI)
    start, end = svg.index("@font-face"), svg.rindex("@font-face")
    end = svg.index("}", end) + 1
    path.write_text(svg[:start] + svg[end:], encoding="utf-8")


if __name__ == "__main__":
    chosen = next(case for case in read_cases(CASES) if case.id == CASE)
    draw(chosen, asyncio.run(judged(chosen)), Path(sys.argv[1]))
