"""vLLM beside the learner, on its own GPU: replies in batches, and the weights out of a folder before each step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from train.rl.config import ColocatedSettings
from train.rl.decode import Row, Written
from train.rl.writer import SamplerLost

__all__ = ["Colocated"]


class Colocated:
    """A `train.rl.writer.Writer`. `save(folder)` writes the learner's model to `folder`, from where vLLM reads it.

    Its memory is its own for as long as the run lasts: `settings.memory` of the GPU.
    """

    def __init__(
        self, model: Path, settings: ColocatedSettings, *, folder: Path, dtype: str, save: Callable[[Path], None]
    ) -> None:
        from vllm import LLM, exceptions
        from vllm.v1.engine.exceptions import EngineDeadError

        # Of a prompt beyond its window, its own errors or, before 0.32, ValueError.
        self._failures = (getattr(exceptions, "VLLMError", ValueError), EngineDeadError, ValueError, RuntimeError)
        self._folder, self._save = folder, save
        self._llm: Any = LLM(
            model=str(model),
            dtype=dtype,
            gpu_memory_utilization=settings.memory,
            max_model_len=settings.tokens,
            max_num_seqs=settings.at_once,
            generation_config="vllm",  # not what the model's own file says of sampling
            logprobs_mode="processed_logprobs",  # at the temperature that is sampled with
            enable_prefix_caching=True,
            enforce_eager=settings.eager,
            disable_log_stats=True,
        )

    def write(self, rows: Sequence[Row], ends: frozenset[int], *, temperature: float) -> list[Written]:
        """A reply to each row. Raises SamplerLost."""
        from vllm import SamplingParams

        wanted = [
            SamplingParams(
                max_tokens=len(row.uniforms),
                temperature=temperature,
                # Of this reply alone: what is sampled does not depend on who else asks.
                seed=int(float(row.uniforms[0]) * 2**31),
                stop_token_ids=sorted(ends),
                logprobs=0,
                detokenize=False,
            )
            for row in rows
        ]
        try:
            found = self._llm.generate([{"prompt_token_ids": row.ids} for row in rows], wanted, use_tqdm=False)
        except self._failures as error:
            raise SamplerLost(f"vLLM: {error}") from error
        return [_written(one.outputs[0], ends) for one in found]

    def refresh(self) -> None:
        """Take over the learner's weights, and forget what was computed with others."""
        self._save(self._folder)
        try:
            self._llm.collective_rpc("reload_weights", kwargs={"weights_path": str(self._folder.resolve())})
        except self._failures as error:
            raise SamplerLost(f"vLLM could not read the weights: {error}") from error
        if not self._llm.reset_prefix_cache():
            raise SamplerLost("vLLM's prefix cache could not be emptied")

    def close(self) -> None:
        """End its processes."""
        self._llm.llm_engine.engine_core.shutdown()


def _written(output: Any, ends: frozenset[int]) -> Written:
    ids = list(output.token_ids)
    logprobs = [float(found[token].logprob) for found, token in zip(output.logprobs, ids, strict=True)]
    if not ids:
        raise SamplerLost("vLLM: a reply without a token")
    return Written(ids, logprobs, ids[-1] in ends, None)
