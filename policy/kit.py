"""What one episode works with, put together from the settings: workspace, tools, and what has to be closed after."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from policy import bundled
from policy.config import ModelConfig, Settings
from policy.episode import Episode
from policy.index.dense import Embedder, find_embedder, ranker
from policy.index.store import LocalIndex
from policy.model import Model
from policy.models import open_model
from policy.sandbox import walls
from policy.tools.authority import Authority
from policy.tools.base import Tool, Toolbox, tool
from policy.tools.file import FileTool
from policy.tools.media import Pictures, Recordings, Speech
from policy.tools.notes import note
from policy.tools.open import OpenTool
from policy.tools.pick import ModelPicker, Picker
from policy.tools.search import IndexProvider, Provider, Rank, SearchTool
from policy.tools.shell import ShellTool
from policy.tools.todo import Todo
from policy.web.cache import DiskCache
from policy.workspace.files import Workspace

if TYPE_CHECKING:
    from policy.web.fetch import WebReader

__all__ = ["Kit", "Shared", "open_index", "open_kit", "open_shared", "system_prompt"]

_READERS = ("search", "open")
"""Tools that change nothing, and may run beside others."""


@dataclass(frozen=True, slots=True)
class Kit:
    """The tools of one episode, and why some that were asked for are not among them."""

    workspace: Workspace
    tools: Toolbox
    todo: Todo
    opener: OpenTool
    missing: tuple[str, ...] = ()

    def take_up(self, episode: Episode) -> None:
        """Let the tools work for this episode, from where it stands."""
        self.todo.restore(episode.todo)
        self.opener.sources = episode.sources


@dataclass(frozen=True, slots=True)
class Shared:
    """What all episodes of a process share."""

    index: LocalIndex
    provider: Provider
    web: WebReader | None = None
    """Pages for `open`, pictures and sound for the models that see and hear."""
    authority: Authority = field(default_factory=lambda: Authority(()))
    tools: tuple[Tool, ...] = ()
    """Those of MCP servers."""
    rank: Rank | None = None
    """Orders what several queries have found; without it their own orders are put together."""
    picker: Picker | None = None
    """Reads long documents for `open` with a goal."""
    vision: Model | None = None
    speech: Speech | None = None

    @classmethod
    def local(cls, index: LocalIndex) -> Shared:
        """The local index and nothing else."""
        return cls(index, IndexProvider(index))


@asynccontextmanager
async def open_shared(
    settings: Settings, *, key: Callable[[str], str | None] = lambda _: None
) -> AsyncIterator[Shared]:
    """The index, the search service, the web, the MCP servers and the models beside the agent's own that the settings
    ask for. `key` gives the secret that a name in the settings stands for."""
    search = settings.search
    async with AsyncExitStack() as stack:
        # One encoder for the index and for putting several answers in order.
        embedder = find_embedder() if search.dense else None
        index = open_index(settings, embedder)
        stack.callback(index.close)
        cache = DiskCache(search.cache, seconds=search.cache_seconds) if search.cache is not None else None
        provider: Provider = IndexProvider(index)
        if search.provider != "local":
            from policy.web.providers import HostedProvider

            provider = hosted = HostedProvider(search, api_key=key(search.api_key_env), cache=cache)
            stack.push_async_callback(hosted.aclose)
        web = None
        if settings.fetch.enabled:
            from policy.web.fetch import WebReader

            others = {"image": ("describe_image", settings.vision), "audio": ("transcribe", settings.speech)}
            tools_for = {kind: name for kind, (name, config) in others.items() if config is not None}
            web = WebReader(settings.fetch, cache=cache, tools=tools_for)
            stack.push_async_callback(web.aclose)
        tools: list[Tool] = []
        for server in settings.mcp:
            from policy.tools.mcp import open_mcp

            tools.extend(await stack.enter_async_context(open_mcp(server)))
        picking, vision = (_model(stack, config, key) for config in (settings.reader, settings.vision))
        speech = None
        if settings.speech is not None:
            from policy.models.speech import OpenAISpeech

            speech = OpenAISpeech(settings.speech, api_key=key(settings.speech.api_key_env))
            stack.push_async_callback(speech.aclose)
        yield Shared(
            index,
            provider,
            web,
            Authority.load(search.authority),
            tuple(tools),
            ranker(embedder) if embedder is not None else None,
            # Half of what a call may take, so that there is time to do without it.
            None if picking is None else ModelPicker(picking, seconds=settings.agent.budget.tool_seconds / 2),
            vision,
            speech,
        )


def _model(stack: AsyncExitStack, config: ModelConfig | None, key: Callable[[str], str | None]) -> Model | None:
    if config is None:
        return None
    model = open_model(config, api_key=key(config.api_key_env))
    stack.push_async_callback(model.aclose)
    return model


def open_index(settings: Settings, embedder: Embedder | None) -> LocalIndex:
    """The index that the settings name, or the bundled corpus; searched by meaning too with an encoder."""
    if settings.search.index is not None:
        return LocalIndex.open(settings.search.index, embedder)
    with bundled.corpus() as folder:
        return LocalIndex.in_memory(folder, embedder)


def system_prompt(settings: Settings) -> str:
    """The instructions of the agent."""
    if settings.agent.system_prompt is not None:
        text = settings.agent.system_prompt.read_text(encoding="utf-8").strip()
    else:
        text = bundled.prompt("system.txt").strip()
    return f"{text}\n\nToday is {settings.agent.date}." if settings.agent.date else text


@asynccontextmanager
async def open_kit(settings: Settings, folder: Path, shared: Shared) -> AsyncIterator[Kit]:
    """The kit of an episode whose workspace is `folder`."""
    async with AsyncExitStack() as stack:
        workspace, todo = Workspace(folder), Todo()
        search = SearchTool(
            shared.provider,
            order=shared.authority.order,
            max_results=settings.search.max_results,
            rank=shared.rank,
        )
        opener = OpenTool(shared.index, shared.web, picker=shared.picker)
        own = (todo.todo, note, search.search, opener.open, FileTool(workspace).file)
        offered = [
            tool(function, only_reads=function.__name__ in _READERS)
            for function in own
            if function.__name__ in settings.agent.tools
        ]
        if shared.vision is not None:
            pictures = Pictures(workspace, shared.web, shared.vision)
            offered.append(tool(pictures.describe_image, only_reads=True))
        if shared.speech is not None:
            recordings = Recordings(workspace, shared.web, shared.speech)
            offered.append(tool(recordings.transcribe, only_reads=True))
        tools: list[Tool] = [*offered, *shared.tools]
        missing: list[str] = []
        if settings.shell.enabled:
            reason = walls.missing(settings.shell)
            if reason:
                missing.append(f"shell is off: {reason}")
            else:
                shell = ShellTool(workspace.root, settings.shell)
                stack.push_async_callback(shell.aclose)
                tools.append(tool(shell.shell))
        toolbox = Toolbox(tools, seconds=settings.agent.budget.tool_seconds)
        yield Kit(workspace, toolbox, todo, opener, tuple(missing))
