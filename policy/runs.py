"""One episode in a folder of its own: journal, workspace, trajectory, report. What `judger-agent run` does."""

from __future__ import annotations

import dataclasses
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from policy import page, report, trajectory
from policy.agent import Agent, Tools
from policy.config import Settings
from policy.episode import Episode
from policy.errors import ToolError
from policy.events import Event, Started
from policy.kit import Kit, Shared, open_kit, system_prompt
from policy.model import Model
from policy.tools.base import Toolbox
from policy.workspace.files import Workspace

__all__ = ["Run", "run_episode", "write_report"]

Listener = Callable[[Event], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """The files of one run."""

    folder: Path

    @property
    def journal(self) -> Path:
        return self.folder / "journal.jsonl"

    @property
    def trajectory(self) -> Path:
        return self.folder / "trajectory.jsonl"

    @property
    def workspace(self) -> Path:
        return self.folder / "workspace"


async def run_episode(
    run: Run,
    query: str,
    make_model: Callable[[Episode, Kit], Model],
    shared: Shared,
    settings: Settings,
    *,
    listeners: Sequence[Listener] = (),
    notify: Callable[[str], None] = lambda _: None,
    task: str = "",
    wrap: Callable[[Toolbox], Tools] = lambda tools: tools,
) -> Episode:
    """Run, or go on with, the episode in a folder. What its journal holds is not done again.

    `make_model` is told how far the episode has come, which only a scripted model needs to know.
    `wrap` puts something between the agent and its tools, such as a cache.
    """
    episode = trajectory.read_journal(run.journal)
    async with open_kit(settings, run.workspace, shared) as kit:
        for reason in kit.missing:
            notify(reason)
        with trajectory.Journal(run.journal) as journal:

            def tell(event: Event) -> None:
                journal(event)
                for listener in listeners:
                    listener(event)

            for event in episode.events:
                for listener in listeners:
                    listener(event)
            kit.take_up(episode)
            model = make_model(episode, kit)
            if episode.started is None:
                started = _started(query, model, kit, settings, task)
                episode.apply(started)
                tell(started)
            agent = Agent(
                model, wrap(kit.tools), kit.workspace, settings.agent, plan=lambda: str(kit.todo), on_event=tell
            )
            return await agent.run(episode)


def _started(query: str, model: Model, kit: Kit, settings: Settings, task: str) -> Started:
    return Started(
        id=uuid.uuid4().hex,
        query=query,
        system=system_prompt(settings),
        model=model.name,
        tools=kit.tools.schemas,
        settings=settings.model_dump(mode="json"),
        task=task,
        time=time.time(),
    )


def write_report(run: Run, episode: Episode, checklist: report.Checklist | None = None) -> list[Path]:
    """Write the report beside the journal, as Markdown and HTML; the files written."""
    if episode.finished is None or not episode.finished.report:
        return []
    resolved = report.resolve(episode.finished.report, episode.sources)
    started, workspace = episode.started, Workspace(run.workspace)
    facts = page.Facts(
        question=episode.query,
        model=started.model if started else "",
        date=time.strftime("%Y-%m-%d", time.gmtime(started.time)) if started and started.time else "",
        status=" ".join(filter(None, (episode.status, episode.finished.reason and f"({episode.finished.reason})"))),
    )

    def image(path: str) -> bytes | None:
        try:
            return workspace.read_bytes(path)
        except ToolError:
            return None

    markdown, paper = run.folder / "report.md", run.folder / "report.html"
    markdown.write_text(report.to_markdown(resolved, checklist), encoding="utf-8")
    paper.write_text(page.to_html(resolved, episode.query, checklist, facts=facts, image=image), encoding="utf-8")
    return [markdown, paper]
