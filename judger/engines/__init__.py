"""The engines, built by name. Importing this loads none of them."""

from __future__ import annotations

from judger.config import EngineConfig
from judger.engines.base import Engine, SelfBatching
from judger.errors import InvalidRequest


def build_engine(config: EngineConfig) -> Engine | SelfBatching:
    """Loads the engine that the configuration names. Blocking: seconds to minutes.

    Raises:
        InvalidRequest: a setting that this engine doesn't have, or a model that can't be used.
        EngineError: loading failed.
    """
    match config.engine:
        case "scripted":
            from judger.engines.scripted import ScriptedEngine

            return ScriptedEngine()
        case "mini":
            from judger.engines.mini.engine import MiniEngine

            return MiniEngine.load(config.model, device=config.device, threads=config.threads)
        case other:
            raise InvalidRequest("engine", f"{other} is not built into this version")
