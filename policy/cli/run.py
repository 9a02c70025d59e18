"""`judger-agent run "QUERY"`: one episode with a live view, ending in a report."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import shlex
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from judger.flags import add_flag
from policy.cli import AWAY
from policy.config import ContextConfig, MCPServer, Settings, check_settings, load_settings
from policy.errors import ConfigError, ModelAway

if TYPE_CHECKING:
    from judger.types import Criterion
    from policy.episode import Episode
    from policy.kit import Kit
    from policy.model import Model, Observer
    from policy.report import Checklist
    from policy.runs import Run
    from policy.trajectory import Record

__all__ = ["add", "settings_from"]


def add(commands: Any) -> None:
    parser = commands.add_parser("run", help="research one question and write a cited report")
    parser.add_argument("query", nargs="?", metavar="QUERY")
    parser.add_argument("--demo", action="store_true", help="a scripted episode on the bundled corpus, offline")
    parser.add_argument(
        "-o", "--out", type=Path, metavar="DIR", help="the folder of this run (default: runs/TIME-WORDS)"
    )
    parser.add_argument("--resume", type=Path, metavar="DIR", help="go on with the run in this folder")
    parser.add_argument("--pace", type=float, default=0.3, metavar="S", help="seconds the demo waits before a reply")
    parser.add_argument("--rubric", type=Path, metavar="FILE", help="judge the report by this rubric and show both")
    parser.add_argument("--judge", default="127.0.0.1:50051", metavar="HOST:PORT", help="the judger that does so")
    parser.add_argument("--quiet", action="store_true", help="no live view")
    add_settings(parser)
    parser.set_defaults(act=_act)


SETTINGS = {
    "--model": ("model", "name"),
    "--backend": ("model", "backend"),
    "--base-url": ("model", "base_url"),
    "--index": ("search", "index"),
    "--web": ("fetch", "enabled"),
    "--shell": ("shell", "enabled"),
}
"""The settings that have an option of their own: section and field in the file."""


def add_settings(parser: argparse.ArgumentParser) -> None:
    """The options that make up the settings, for every command that runs episodes."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings, TOML or JSON; options win over it")
    for flag, (section, name) in SETTINGS.items():
        model = Settings.model_fields[section].annotation
        assert model is not None
        assert issubclass(model, BaseModel)
        add_flag(parser, flag, model.model_fields[name], dest=f"{section}_{name}")


def settings_from(arguments: argparse.Namespace, kept: tuple[Path, dict[str, Any]] | None = None) -> Settings:
    """The settings of the file with the options over them. Without a file, of a run that goes on, those it was `kept`
    with: its journal and what stands there."""
    if kept is not None and arguments.config is None:
        path, written = kept
        data = check_settings(written, str(path)).model_dump()
    else:
        data = load_settings(arguments.config).model_dump()
    for section, name in SETTINGS.values():
        value = getattr(arguments, f"{section}_{name}")
        if value is not None:
            data[section][name] = value
    if not data["agent"]["date"]:
        data["agent"]["date"] = time.strftime("%Y-%m-%d")
    return Settings.model_validate(data)


def _act(arguments: argparse.Namespace) -> int:
    from policy.runs import Run
    from policy.whole import half_character

    if fault := half_character(arguments.query or ""):
        raise ConfigError(f"QUERY: {fault}")
    if arguments.resume is not None:
        if not (arguments.resume / "journal.jsonl").is_file():
            raise ConfigError(f"{arguments.resume}: there is no run to resume in this folder")
        run = Run(arguments.resume)
    elif arguments.query or arguments.demo:
        run = Run(arguments.out or Path("runs") / _name(arguments.query or "demo"))
        if run.journal.exists():
            raise ConfigError(f"{run.folder}: there is a run in this folder already; go on with --resume {run.folder}")
    else:
        raise ConfigError("QUERY: say what to research, or use --demo or --resume")
    try:
        return asyncio.run(_run(arguments, run))
    except KeyboardInterrupt:
        print(f"interrupted{_go_on(arguments, run)}", file=sys.stderr)
        return 130
    except ModelAway as error:
        print(f"{error}{_go_on(arguments, run)}", file=sys.stderr)
        return AWAY


def _go_on(arguments: argparse.Namespace, run: Run) -> str:
    """The command that goes on with a run, where something has happened in it. Its settings are in the journal."""
    from policy import trajectory

    if trajectory.read_journal(run.journal).started is None:
        return ""
    words = ["judger-agent", "run", "--resume", str(run.folder)]
    if arguments.rubric is not None:
        words += ["--rubric", str(arguments.rubric), "--judge", arguments.judge]
    return f"; go on with: {shlex.join(words)}"


async def _run(arguments: argparse.Namespace, run: Run) -> int:
    from judger.rubric import read_rubric
    from policy import demo, trajectory
    from policy.kit import open_shared
    from policy.models.scripted import ScriptedModel
    from policy.runs import run_episode, write_report
    from policy.view import LiveView

    criteria = read_rubric(arguments.rubric) if arguments.rubric is not None else ()
    started = trajectory.read_journal(run.journal).started
    settings = settings_from(arguments, None if started is None else (run.journal, started.settings))
    is_demo = arguments.demo or (started is not None and started.model == ScriptedModel.name)
    if is_demo and started is None:
        settings = _demo_settings(settings)
    if not arguments.query and not is_demo and started is None:
        raise ConfigError(f"{run.folder}: nothing has happened in this run yet; give its QUERY and another folder")
    view = LiveView(settings.agent.budget)
    async with AsyncExitStack() as stack:
        pace = arguments.pace if is_demo else None
        make_model = _maker(settings, pace, None if arguments.quiet else view, stack)
        shared = await stack.enter_async_context(open_shared(settings, key=os.environ.get))
        with nullcontext() if arguments.quiet else view:
            listeners = [] if arguments.quiet else [view]
            notify = view.note if not arguments.quiet else _to_stderr
            query = arguments.query or demo.QUERY
            episode = await run_episode(run, query, make_model, shared, settings, listeners=listeners, notify=notify)
    record = trajectory.record_of(episode)
    checklist, fault = None, ""
    if criteria and record["report"]:
        record, checklist, fault = await _judge(arguments.judge, record, criteria)
    # A run that had ended keeps its record, unless it is judged only now.
    if record["judge_id"] or not any(trajectory.read_records(run.trajectory)):
        trajectory.write(run.trajectory, [record])
    for path in write_report(run, episode, checklist):
        print(path)
    print(run.trajectory)
    if episode.status == "failed" and episode.finished is not None:
        print(f"failed: {episode.finished.reason}", file=sys.stderr)
        return 1
    if fault:
        print(f"not judged: {fault}", file=sys.stderr)
        return 1
    return 0


async def _judge(address: str, record: Record, criteria: Sequence[Criterion]) -> tuple[Record, Checklist | None, str]:
    from judger.client import connect
    from judger.errors import JudgerError
    from policy.judging import checklist_of, judged

    try:
        async with connect(address) as judge:
            judgement = await judge.judge(record["query"], record["report"], criteria)
    except JudgerError as error:
        return {**record, "judge_error": str(error)}, None, str(error)
    return judged(record, judgement), checklist_of(judgement, criteria), ""


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr)


def _maker(settings: Settings, demo_pace: float | None, observer: Observer | None, stack: AsyncExitStack) -> Any:
    from policy import demo
    from policy.models import open_model
    from policy.models.scripted import ScriptedModel

    if demo_pace is None:
        key = os.environ.get(settings.model.api_key_env)
        model = open_model(settings.model, api_key=key, observer=observer)
        stack.push_async_callback(model.aclose)
        return lambda episode, kit: model

    def scripted(episode: Episode, kit: Kit) -> Model:
        steps = demo.script(set(kit.tools.names), kit.missing)
        return ScriptedModel(steps, start=episode.turns, delay=demo_pace, observer=observer)

    return scripted


def _demo_settings(settings: Settings) -> Settings:
    """So small a context that the demo shows how long results and long histories are dealt with."""
    from policy import demo

    small = {"tokens": 2_600, "observation_chars": 3_000, "summary_chars": 1_200, "keep_turns": 3}
    agent = settings.agent.model_copy(update={"context": ContextConfig.model_validate(small)})
    # The script knows what it will find, so the encoder need not be loaded for it.
    search = settings.search.model_copy(update={"dense": False})
    # -P: the server's own folder is no place to import from.
    tides = MCPServer(name="tides", command=(sys.executable, "-P", str(Path(demo.__file__).with_name("tides.py"))))
    shell = settings.shell.model_copy(update={"enabled": True})
    return settings.model_copy(update={"agent": agent, "search": search, "shell": shell, "mcp": (*settings.mcp, tides)})


def _name(query: str) -> str:
    words = re.findall(r"\w+", query.lower())[:6]
    return time.strftime("%Y%m%d-%H%M%S-") + "-".join(words)
