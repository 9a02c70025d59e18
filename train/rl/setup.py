"""What a run needs, checked in the order of what it costs: files, template, judge, and the model's weights last."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from judger.engines.find import check_model
from judger.errors import InvalidRequest
from policy.config import Settings, load_settings
from policy.errors import ConfigError
from policy.kit import Shared, open_shared
from policy.rollouts import Task, read_tasks
from train.agent import check_agent
from train.rl.config import RLSettings
from train.templates import check_template, take_up

_FREE = frozenset({"steps", "watch", "linger"})
"""Settings that may change from one start of a run to the next."""

__all__ = ["Inputs", "check_same_run", "load_inputs", "load_model", "write_reference"]


@dataclass(frozen=True, slots=True)
class Inputs:
    """Checked inputs; no weights are loaded yet."""

    model: str
    tokenizer: Any
    tasks: list[Task]
    settings: Settings
    search_key: str | None = field(default=None, repr=False)
    """Of the search service that the settings name."""

    def open_shared(self) -> AbstractAsyncContextManager[Shared]:
        """What all episodes share: the index or the search service, the web, MCP servers."""
        name = self.settings.search.api_key_env
        return open_shared(self.settings, key=lambda asked: self.search_key if asked == name else None)


def load_inputs(
    model: str,
    tasks: Path,
    settings: Path | None,
    environ: Mapping[str, str] | None = None,
    *,
    chat_template: str | None = None,
    eos_token: str | None = None,
) -> Inputs:
    """Raises ConfigError with every fault of the first thing that is wrong.

    `environ` holds the search service's key under the name that the settings give.
    """
    checked = _read_rl_tasks(tasks)
    agent = load_settings(settings)
    key = (environ or {}).get(agent.search.api_key_env)
    check_agent(agent, settings, key, bundled=True)
    return Inputs(model, load_tokenizer(model, chat_template, eos_token), checked, agent, key)


def _read_rl_tasks(path: Path) -> list[Task]:
    """The tasks of a file, all with a rubric the judger takes. Raises ConfigError with every fault."""
    from judger.validate import check

    tasks = read_tasks(path)
    if not tasks:
        raise ConfigError(f"{path}: there are no tasks in it")
    faults: list[str] = []
    for task in tasks:
        if not task.criteria:
            faults.append(f"{path}: task {task.id!r}: criteria: there are none, so there is no reward to learn from")
            continue
        try:
            check(task.query, "-", task.criteria)
        except InvalidRequest as error:
            faults.append(f"{path}: task {task.id!r}: {error.field}: {error.reason}")
    if faults:
        raise ConfigError("\n".join(faults))
    return tasks


def load_tokenizer(model: str, chat_template: str | None = None, eos_token: str | None = None) -> Any:
    """The tokenizer of a model folder or hub name, its template fit for the agent. Raises ConfigError."""
    from transformers import AutoTokenizer

    try:
        check_model(model)
        tokenizer = AutoTokenizer.from_pretrained(model)
    except InvalidRequest as error:
        raise ConfigError(f"--model {model}: no tokenizer can be loaded: {error.reason}") from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"--model {model}: no tokenizer can be loaded: {str(error).splitlines()[0]}") from error
    take_up(tokenizer, chat_template, eos_token)
    if tokenizer.eos_token is None:
        raise ConfigError(f"--model {model}: the tokenizer has no eos token")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    check_template(tokenizer, model)
    return tokenizer


def load_model(model: str, dtype: Any = None, attention: str = "sdpa") -> Any:
    """The causal model, float32 to be learned. Raises ConfigError where it can't be loaded or lacks plain attention."""
    from transformers import AutoConfig

    from train.precision import load

    try:
        config = AutoConfig.from_pretrained(model)
        kinds = set(getattr(config.get_text_config(decoder=True), "layer_types", None) or ["full_attention"])
        if kinds != {"full_attention"}:
            raise ConfigError(f"--model {model}: layers of kind {', '.join(sorted(kinds))}; only full attention works")
        return load(model, dtype=dtype, attention=attention)
    except (OSError, ValueError, ImportError) as error:
        raise ConfigError(f"--model {model}: cannot be loaded: {str(error).splitlines()[0]}") from error


def write_reference(inputs: Inputs, folder: Path) -> None:
    """The model that a run begins with, in its own precision."""
    from train.precision import own_dtype, save
    from train.rl.checkpoint import write_folder

    begin, dtype = load_model(inputs.model), own_dtype(inputs.model)

    write_folder(folder, lambda part: save(begin, inputs.tokenizer, part, dtype=dtype))


def check_same_run(
    out: Path, inputs: Inputs, tasks: Path, settings: RLSettings, algo: str, *, judge_id: str = ""
) -> None:
    """Note what a run is started with; refuse to go on with another. More steps, other bounds of
    the watch and another patience with slow tools are no other run.

    The tasks are what the file holds, whatever it is called, and the judge is who it says it is, wherever it runs.
    """
    path = out / "settings.json"
    given = {
        "algo": algo,
        "model": inputs.model,
        "template": _digest(f"{inputs.tokenizer.eos_token}\0{inputs.tokenizer.chat_template}".encode()),
        "tasks": _digest(tasks.read_bytes()),
        "judge_id": judge_id,
        "agent": inputs.settings.model_dump(mode="json"),
        **settings.model_dump(mode="json"),
    }
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        other = [key for key in sorted({*given, *before}) if key not in _FREE and given.get(key) != before.get(key)]
        if other:
            raise ConfigError(
                f"{out}: holds a run with other settings ({', '.join(other)}); give it a folder of its own"
            )
    out.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")  # each process of a run writes the same
    part.write_text(json.dumps(given, indent=1) + "\n", encoding="utf-8")
    part.replace(path)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
