"""What one episode works with, put together from the settings: workspace, tools, and what has to be closed after."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from policy.config import Settings
from policy.episode import Episode
from policy.index.store import LocalIndex
from policy.tools import sandbox
from policy.tools.base import Tool, Toolbox, tool
from policy.tools.file import FileTool
from policy.tools.open import OpenTool
from policy.tools.search import IndexProvider, SearchTool
from policy.tools.shell import ShellTool
from policy.tools.todo import Todo
from policy.tools.workspace import Workspace

__all__ = ["Kit", "bundled_corpus", "open_index", "open_kit", "system_prompt"]


@dataclass(frozen=True, slots=True)
class Kit:
    """The tools of one episode, and why some that were asked for are not among them."""

    workspace: Workspace
    tools: Toolbox
    todo: Todo
    missing: tuple[str, ...] = ()

    def take_up(self, episode: Episode) -> None:
        """Bring the tools' own state to where a resumed episode stands."""
        self.todo.restore(episode.todo)


def open_index(settings: Settings) -> LocalIndex:
    """The index that the settings name, or the bundled corpus."""
    if settings.search.index is not None:
        return LocalIndex.open(settings.search.index)
    with bundled_corpus() as folder:
        return LocalIndex.in_memory(folder)


def bundled_corpus() -> AbstractContextManager[Path]:
    """A context manager that gives the folder of the bundled collection."""
    return as_file(files("policy").joinpath("corpus"))


def system_prompt(settings: Settings) -> str:
    """The instructions of the agent."""
    if settings.agent.system_prompt is not None:
        return settings.agent.system_prompt.read_text(encoding="utf-8").strip()
    return files("policy").joinpath("prompts/system.txt").read_text(encoding="utf-8").strip()


@asynccontextmanager
async def open_kit(settings: Settings, folder: Path, index: LocalIndex) -> AsyncIterator[Kit]:
    """The kit of an episode whose workspace is `folder`; shared parts, such as the index, are given."""
    async with AsyncExitStack() as stack:
        workspace, todo = Workspace(folder), Todo()
        tools: list[Tool] = [
            tool(todo.todo),
            tool(SearchTool(IndexProvider(index)).search),
            tool(OpenTool(index).open),
            tool(FileTool(workspace).file),
        ]
        missing: list[str] = []
        if settings.shell.enabled:
            reason = sandbox.missing(settings.shell)
            if reason:
                missing.append(f"shell is off: {reason}")
            else:
                shell = ShellTool(workspace.root, settings.shell)
                stack.push_async_callback(shell.aclose)
                tools.append(tool(shell.shell))
        toolbox = Toolbox(tools, seconds=settings.agent.budget.tool_seconds)
        yield Kit(workspace, toolbox, todo, tuple(missing))
