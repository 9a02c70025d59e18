"""The settings file of a cascade: TOML or YAML, typed, unknown keys refused."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from judger.config import EngineConfig
from judger.errors import InvalidRequest

__all__ = ["CascadeSettings", "Level", "read_settings"]

Level = Literal["both", "first", "second"]
LARGEST = 2**20
"""Bytes of a settings file."""


class CascadeSettings(BaseModel):
    """Two levels of judges. Several in a level are asked beside each other, and the mean of what they say counts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    margin: float = Field(ge=0, le=0.5, allow_inf_nan=False)
    """What the first level says nearer to its threshold than this goes to the second."""
    on_failure: Literal["unscored", "first"] = "unscored"
    """What becomes of a criterion that the second level could not judge: unscored, or the first's verdict."""
    first: tuple[EngineConfig, ...] = Field(min_length=1)
    second: tuple[EngineConfig, ...] = Field(min_length=1)

    @field_validator("first", "second")
    @classmethod
    def _is_flat(cls, value: tuple[EngineConfig, ...]) -> tuple[EngineConfig, ...]:
        if any(config.engine == "cascade" for config in value):
            raise ValueError("a cascade in a cascade is not supported: name the judges themselves")
        return value


def read_settings(path: Path) -> CascadeSettings:
    """Reads a settings file. Its own relative paths are taken from its folder. Raises InvalidRequest."""
    try:
        raw = path.read_bytes()
        if len(raw) > LARGEST:
            raise InvalidRequest("cascade", f"{path} is longer than {LARGEST:,} bytes")
        values = _parse(path, raw.decode("utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidRequest("cascade", f"{path}: {error}") from error
    try:
        settings = CascadeSettings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "file"
        raise InvalidRequest("cascade", f"{path}: {where}: {first['msg']}") from error
    folder = path.resolve().parent
    levels = {name: tuple(_placed(one, folder) for one in getattr(settings, name)) for name in ("first", "second")}
    return settings.model_copy(update=levels)


def _parse(path: Path, text: str) -> Any:
    if path.suffix == ".toml":
        return tomllib.loads(text)
    if path.suffix not in (".yaml", ".yml"):
        raise ValueError("must end in .toml, .yaml or .yml")
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"is not YAML: {error}") from error


def _placed(config: EngineConfig, folder: Path) -> EngineConfig:
    """The paths as the file means them."""
    update: dict[str, Any] = {
        name: folder / value
        for name in ("calibration", "api_key_file", "fence_key_file", "base")
        if (value := getattr(config, name)) is not None
    }
    if config.model is not None and (folder / config.model).is_dir():
        update["model"] = str(folder / config.model)
    return config.model_copy(update=update)
