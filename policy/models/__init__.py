"""The models behind `policy.model.Model`: scripted, an OpenAI-compatible endpoint, transformers in this process."""

from __future__ import annotations

from policy.config import ModelConfig
from policy.errors import ConfigError
from policy.model import Model, Observer

__all__ = ["open_model"]


def open_model(config: ModelConfig, *, api_key: str | None = None, observer: Observer | None = None) -> Model:
    """The model that `config` names; the libraries it needs are imported here and not before. An `observer` sees the
    replies while they are written."""
    match config.backend:
        case "openai":
            from policy.models.openai import OpenAIModel

            return OpenAIModel(config, api_key=api_key, observer=observer)
        case "transformers":
            from policy.models.local import LocalModel

            return LocalModel.load(config, observer=observer)
        case "scripted":
            raise ConfigError("model.backend: the scripted model is built in code or by --demo, not by a setting")
