"""Every setting of the agent, parsed once, frozen, unknown keys refused."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from judger.flags import Flag
from policy.errors import ConfigError

__all__ = [
    "AgentConfig",
    "BudgetConfig",
    "ContextConfig",
    "FetchConfig",
    "MCPServer",
    "ModelConfig",
    "SearchConfig",
    "Settings",
    "ShellConfig",
    "SpeechConfig",
    "check_settings",
    "load_settings",
]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class ModelConfig(_Frozen):
    """Which chat model, and how it is asked."""

    backend: Literal["openai", "transformers", "scripted"] = "openai"
    """An OpenAI-compatible endpoint, a model of transformers in this process, or a script."""
    name: Annotated[str, Flag("NAME")] = ""
    """The endpoint's name for the model, or a folder or hub name for transformers."""
    base_url: Annotated[str | None, Flag("URL")] = None
    """The endpoint's address, such as http://localhost:8000/v1; the client library's default without it."""
    api_key_env: str = "OPENAI_API_KEY"
    """The environment variable that the command line reads the key from."""
    temperature: float | None = None
    """Sampling temperature; the endpoint's own default without it. 0 is greedy."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    """Nucleus sampling; off without it."""
    stream: bool = True
    """Ask for a reply piece by piece where someone watches it being written; off for endpoints that do it badly."""
    timeout: float = Field(default=600, gt=0)
    """Seconds for one reply; of one that comes in pieces, until the first, and ten times as many in all."""
    stall: float = Field(default=300, gt=0)
    """Seconds for which a reply that has begun may stand still. Some endpoints keep a call back until it is whole."""
    patience: float = Field(default=600, ge=0)
    """Seconds for which a request is repeated that fails for a passing reason: an outage, overload, a reply that is
    none. Then the episode is left as it stands, to be resumed."""
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """What the endpoint calls the limit of a reply's length; the other where it asks for that."""
    send_thoughts: bool = False
    """Send earlier thoughts back as `reasoning_content`, for endpoints that want them."""
    logprobs: bool = False
    """Ask for the log-probabilities of the generated tokens and keep them in the trajectory."""
    input_price: float = Field(default=0, ge=0)
    """Price of a million prompt tokens, in any currency. With it, what was spent is shown and recorded."""
    output_price: float = Field(default=0, ge=0)
    """Price of a million generated tokens."""
    device: str = "cpu"
    """Where transformers runs."""
    dtype: str = "auto"
    """The precision transformers loads."""


class SpeechConfig(_Frozen):
    """A model that writes down speech."""

    name: str = ""
    """The endpoint's name for it."""
    base_url: str | None = None
    """The address of an OpenAI-compatible endpoint with /audio/transcriptions."""
    api_key_env: str = "OPENAI_API_KEY"
    """The environment variable that the command line reads the key from."""
    language: str = ""
    """What is spoken, such as `en`; found out by the model without it."""
    timeout: float = Field(default=120, gt=0)
    """Seconds for one recording."""


class BudgetConfig(_Frozen):
    """What one episode may spend. The last turn is kept for the report."""

    turns: int = Field(default=30, ge=1)
    """Model calls."""
    turn_tokens: int = Field(default=16_384, ge=1)
    """Generated tokens in one turn."""
    tool_calls: int = Field(default=120, ge=0)
    """Tool calls in all."""
    total_tokens: int = Field(default=2_000_000, ge=1)
    """Prompt and generated tokens, summed over the turns."""
    seconds: float = Field(default=3600, gt=0)
    """Wall time in all."""
    tool_seconds: float = Field(default=120, gt=0)
    """Wall time of one tool call."""
    calls_per_turn: int = Field(default=8, ge=1)
    """Tool calls obeyed in one turn; the others are refused with an observation."""


class ContextConfig(_Frozen):
    """What enters the model's context, and when the history is compacted."""

    tokens: int = Field(default=96_000, ge=512)
    """The context that the agent keeps within, the reply's own tokens not counted."""
    compact_at: float = Field(default=0.8, gt=0, le=1)
    """Share of `tokens` at which the history is compacted."""
    keep_turns: int = Field(default=4, ge=1)
    """Latest turns that a compaction leaves as they are."""
    summary: Literal["extract", "model"] = "extract"
    """Who says what was done in the turns that a compaction takes out: extracts of them, or the model in its own words,
    which costs a reply. Findings, plan, sources and files are kept either way."""
    observation_chars: int = Field(default=8_000, ge=200)
    """A longer observation is stored in the workspace, and a summary with its path enters the context."""
    summary_chars: int = Field(default=2_400, ge=100)
    """Length of that summary."""


class SearchConfig(_Frozen):
    """Where `search` looks."""

    provider: Literal["local", "brave", "tavily", "searxng", "duckduckgo", "arxiv", "pubmed"] = "local"
    """The local index, or a hosted service; the last four need no key."""
    index: Path | None = None
    """The index made by `judger-agent index`; the bundled corpus without it."""
    dense: bool = True
    """Search the local index by meaning too, where the sentence encoder is installed."""
    base_url: str | None = None
    """The address of a SearXNG instance, or of a stand-in for a hosted service."""
    api_key_env: str = "SEARCH_API_KEY"
    """The environment variable that the command line reads the service's key from."""
    max_results: int = Field(default=20, ge=1)
    """The most passages shown for one query, however many are asked for."""
    authority: Path | None = None
    """A plain file with one host or prefix a line, instead of the built-in list: these win among equals."""
    cache: Path | None = None
    """Folder in which identical queries and fetched pages are kept; no cache without it."""
    cache_seconds: float = Field(default=86_400, gt=0)
    """How long they are good."""


class FetchConfig(_Frozen):
    """What `open` may fetch from the web."""

    enabled: bool = False
    """Let `open` fetch pages of the open internet."""
    max_bytes: int = Field(default=4 * 2**20, ge=1024)
    """The most that is read of one page."""
    seconds: float = Field(default=20, gt=0)
    """Wall time for one page with its redirects."""
    redirects: int = Field(default=5, ge=0)
    """Redirects followed; each address is checked again."""


class ShellConfig(_Frozen):
    """The `shell` tool: a tmux session inside bubblewrap."""

    enabled: bool = False
    """Offer a sandboxed shell, where bubblewrap works."""
    allow_unsandboxed: bool = False
    """Run it without bubblewrap where that is missing: only in a machine that may be lost."""
    cpu_seconds: int = Field(default=60, ge=1)
    """CPU time of one process."""
    memory_bytes: int = Field(default=2**30, ge=2**24)
    """Memory of all processes together where there are cgroups, of each process otherwise."""
    processes: int = Field(default=64, ge=4)
    """Processes and threads in all."""
    file_bytes: int = Field(default=64 * 2**20, ge=1024)
    """Size of one written file."""
    wait_seconds: float = Field(default=10, gt=0)
    """How long a call waits for its command by default."""


class MCPServer(_Frozen):
    """One MCP server: a command to start, or an address."""

    name: str = Field(pattern=r"^[A-Za-z0-9_]{1,24}$")
    """Put before the names of its tools."""
    command: tuple[str, ...] = ()
    """The program and its arguments, spoken to over standard input and output."""
    url: str | None = None
    """The address of a streamable HTTP server."""
    seconds: float = Field(default=30, gt=0)
    """How long it may take to start and to list its tools."""


class AgentConfig(_Frozen):
    """How the agent works."""

    budget: BudgetConfig = BudgetConfig()
    """What an episode may spend."""
    context: ContextConfig = ContextConfig()
    """What the model sees."""
    date: str = ""
    """What the model is told that today is; nothing where empty. The commands `run` and `rollouts` fill it in."""
    system_prompt: Path | None = None
    """A text file instead of the built-in instructions."""
    tools: tuple[Literal["todo", "note", "search", "open", "file"], ...] = ("todo", "note", "search", "open", "file")
    """Which of these are offered; the shell and MCP servers have their own settings."""


class Settings(_Frozen):
    """The whole configuration file."""

    model: ModelConfig = ModelConfig()
    """The chat model."""
    reader: ModelConfig | None = None
    """A chat model that picks, of a long document, the paragraphs which `open` shows for a goal; without it they are
    ranked by words."""
    vision: ModelConfig | None = None
    """A chat model that sees pictures. With it there is the tool `describe_image`."""
    speech: SpeechConfig | None = None
    """A model that writes down speech. With it there is the tool `transcribe`."""
    agent: AgentConfig = AgentConfig()
    """The loop."""
    search: SearchConfig = SearchConfig()
    """The `search` tool and the index behind `open`."""
    fetch: FetchConfig = FetchConfig()
    """The web behind `open`."""
    shell: ShellConfig = ShellConfig()
    """The `shell` tool."""
    mcp: tuple[MCPServer, ...] = ()
    """Servers whose tools are offered too."""


def load_settings(path: Path | None) -> Settings:
    """The settings in a TOML or JSON file; the defaults without one. Raises ConfigError that names every fault."""
    if path is None:
        return Settings()
    try:
        text = path.read_text(encoding="utf-8")
        data = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from error
    return check_settings(data, str(path))


def check_settings(data: object, where: str) -> Settings:
    """The settings in a value of JSON types. Raises ConfigError that names every fault and `where` it stands."""
    try:
        return Settings.model_validate(data)
    except ValidationError as error:
        raise ConfigError("\n".join(f"{where}: {_fault(fault)}" for fault in error.errors())) from error


_RETIRED = {"model.max_retries": "it is now `model.patience`, in seconds"}


def _fault(error: Any) -> str:
    name = ".".join(map(str, error["loc"]))
    if error["type"] != "extra_forbidden":
        return f"{name}: {error['msg']}"
    return f"{name}: there is no such setting" + (f"; {_RETIRED[name]}" if name in _RETIRED else "")
