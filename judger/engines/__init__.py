"""The engines, built by name. Importing this loads none of them."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from judger.config import BASED, PROMPTED, EngineConfig
from judger.engines.base import Engine, SelfBatching
from judger.errors import InvalidRequest
from judger.prompt.fence import open_fence_key

MIB = 2**20


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

            return MiniEngine.load(
                config.model, device=config.device, threads=config.threads, judge_all=config.judge_all
            )
        case "small":
            from judger.engines.small.engine import SmallEngine

            return SmallEngine.load(
                config.model,
                base=config.base,
                device=config.device,
                threads=config.threads,
                judge_all=config.judge_all,
                bars=config.bars,
            )
        case "torch":
            from judger.engines.torch import TorchEngine

            return TorchEngine.load(
                needed(config.model, "model", "the torch engine"),
                device=config.device,
                dtype=config.dtype,
                threads=config.threads,
                max_prompt_tokens=config.max_prompt_tokens or 0,
                step_bytes=config.step_mb * MIB,
                cache_bytes=config.kv_cache_mb * MIB,
                reason_tokens=config.reason_tokens or 256,
                trial_temperature=config.trial_temperature,
                min_label_mass=config.min_label_mass,
                deterministic=config.deterministic,
                fence=open_fence_key(config.fence_key_file),
                bars=config.bars,
            )
        case "openai":
            from judger.engines.openai import OpenAIEngine

            return OpenAIEngine(
                needed(config.model, "model", "the openai engine"),
                base_url=needed(config.base_url, "base_url", "the openai engine"),
                api_key=read_key(config.api_key_file),
                reason_tokens=config.reason_tokens or 512,
                trial_temperature=config.trial_temperature,
                reading=config.reading,
                min_label_mass=config.min_label_mass,
                fence=open_fence_key(config.fence_key_file),
            )
        case "decisions":
            from judger.engines.decisions import DecisionsEngine

            return DecisionsEngine(
                needed(config.model, "model", "the decisions engine"),
                base_url=needed(config.base_url, "base_url", "the decisions engine"),
                api=config.api,
                api_key=read_key(config.api_key_file),
                min_label_mass=config.min_label_mass,
                fence=open_fence_key(config.fence_key_file),
            )
        case "cascade":
            return build_cascade(config)
        case "vllm":
            from judger.engines.vllm import VllmEngine

            return VllmEngine(
                needed(config.model, "model", "the vllm engine"),
                dtype=config.dtype,
                quantization=config.quantization,
                tensor_parallel_size=config.tensor_parallel_size,
                data_parallel_size=config.data_parallel_size,
                max_prompt_tokens=config.max_prompt_tokens or 0,
                reason_tokens=config.reason_tokens or 256,
                trial_temperature=config.trial_temperature,
                min_label_mass=config.min_label_mass,
                fence=open_fence_key(config.fence_key_file),
                bars=config.bars,
            )


def build_cascade(config: EngineConfig) -> Engine | SelfBatching:
    """The judges that the cascade's settings file names, as one. What was loaded is closed where one of them fails."""
    from judger.engines.calibration_file import check_fit, load_calibration
    from judger.engines.cascade import make_cascade, read_settings
    from judger.engines.cascade.judges import Member

    if config.cascade is None:
        raise InvalidRequest("cascade", "the cascade engine needs --cascade FILE")
    settings = read_settings(config.cascade)
    levels: list[tuple[Member, ...]] = []
    with ExitStack() as loaded:
        for configs in (settings.first, settings.second):
            members = []
            for one in configs:
                if one.fence_key_file is None and one.engine in PROMPTED:
                    one = one.model_copy(update={"fence_key_file": config.fence_key_file})
                if one.base is None and one.engine in BASED:
                    one = one.model_copy(update={"base": config.base})
                engine = build_engine(one.model_copy(update={"bars": config.bars}))
                loaded.callback(engine.close)
                calibration = engine.calibration if one.calibration is None else load_calibration(one.calibration)
                if one.calibration is not None:
                    check_fit(calibration, engine.identity.model_id)
                members.append(Member(engine, calibration))
            levels.append(tuple(members))
        loaded.pop_all()
    return make_cascade(settings, (levels[0], levels[1]), config.cascade_level)


def needed(value: str | None, flag: str, who: str) -> str:
    """A setting that an engine can't do without. Raises InvalidRequest where it is missing."""
    if not value:
        raise InvalidRequest(flag, f"{who} needs --{flag.replace('_', '-')}")
    return value


def read_key(path: Path | None) -> str:
    """The first line of a key file; without one, what endpoints without keys take. Raises InvalidRequest."""
    if path is None:
        return "none"
    try:
        return path.read_text().splitlines()[0].strip()
    except (OSError, UnicodeDecodeError, IndexError) as error:
        raise InvalidRequest("api_key_file", f"{path} has no key in its first line: {error}") from error
