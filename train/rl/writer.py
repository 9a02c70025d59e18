"""Who writes the replies of an episode: a model in this process, or a vLLM server that is given the weights
(`train.rl.colocated`: vLLM beside the learner).

A server is vLLM's own (`vllm serve`, 0.31 or 0.32 with VLLM_SERVER_DEV_MODE=1), asked over its OpenAI completions with
token ids in and out. It takes new weights over NCCL, by TRL's client, or from a folder that it can read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from train.rl.config import VLLMSettings
from train.rl.decode import Row, Written, generate
from train.rl.stop import Stop

__all__ = ["Local", "SamplerLost", "Served", "Writer"]


class SamplerLost(Stop):
    """The server that samples doesn't answer, or refused the weights."""


class Writer(Protocol):
    """Writes with the policy's weights."""

    def write(self, rows: Sequence[Row], ends: frozenset[int], *, temperature: float) -> list[Written]:
        """A reply to each row, up to a token of `ends`. Called in a thread."""
        ...

    def refresh(self) -> None:
        """Take over the learner's weights. All processes of a run ask for it at the same place."""
        ...

    def close(self) -> None:
        """Nothing more will be asked for."""
        ...


class Local:
    """A model of transformers in this process."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def write(self, rows: Sequence[Row], ends: frozenset[int], *, temperature: float) -> list[Written]:
        was_training = self.model.training
        self.model.eval()
        try:
            return generate(self.model, rows, ends, temperature=temperature)
        finally:
            self.model.train(was_training)

    def refresh(self) -> None:
        """The model is the learner's own."""

    def close(self) -> None:
        """It is the caller's."""


class Served:
    """A vLLM server. `weights()` gives each (name, weight) in turn, in every process; `save(folder)` writes the model.
    `is_main`: whether this process is the one that brings the server up to date."""

    def __init__(
        self,
        settings: VLLMSettings,
        *,
        folder: Path,
        is_main: bool,
        device: Any,
        weights: Callable[[], Iterable[tuple[str, Any]]],
        save: Callable[[Path], None],
    ) -> None:
        import httpx

        self._settings, self._folder, self._is_main, self._device = settings, folder, is_main, device
        self._weights, self._save = weights, save
        limits = httpx.Limits(max_connections=settings.at_once)
        self._http = httpx.Client(base_url=settings.url, timeout=settings.timeout, limits=limits)
        self._nccl: Any = None

    def write(self, rows: Sequence[Row], ends: frozenset[int], *, temperature: float) -> list[Written]:
        return [self._one(row, ends, temperature) for row in rows]

    def _one(self, row: Row, ends: frozenset[int], temperature: float) -> Written:
        most = len(row.uniforms)
        found = self._post(
            "/v1/completions",
            {
                "model": self._settings.model,
                "prompt": row.ids,
                "max_tokens": most,
                "temperature": temperature,
                "top_p": 1.0,
                "top_k": -1,
                "min_p": 0.0,
                "repetition_penalty": 1.0,
                # Of this reply alone: what is sampled does not depend on who else asks.
                "seed": int(float(row.uniforms[0]) * 2**31),
                "stop_token_ids": sorted(ends),
                "logprobs": 0,
                "return_token_ids": True,
            },
        )
        choice = found["choices"][0]
        ids, logprobs = choice["token_ids"], choice["logprobs"]["token_logprobs"]
        if not ids or len(ids) != len(logprobs) or len(ids) > most:
            raise SamplerLost(
                f"{self._settings.url}: {len(ids or ())} token ids with {len(logprobs)} log-probabilities, "
                f"where at most {most} were asked for"
            )
        return Written(list(ids), [float(value) for value in logprobs], ids[-1] in ends, None)

    def refresh(self) -> None:
        if self._settings.sync == "nccl":
            self._send()
        else:
            self._save(self._folder)
            if self._is_main:
                self._post(
                    "/collective_rpc",
                    {"method": "reload_weights", "kwargs": {"weights_path": str(self._folder.resolve())}},
                )
        # What is cached was computed with other weights.
        if self._is_main and not self._post("/reset_prefix_cache", None).get("success", True):
            raise SamplerLost(f"{self._settings.url}: the prefix cache could not be emptied, other requests hold it")

    def _send(self) -> None:
        if self._is_main and self._nccl is None:
            from trl.generation.vllm_client import VLLMClient

            self._nccl = VLLMClient(base_url=self._settings.url, connection_timeout=60.0)
            self._nccl.init_communicator(self._device)
        if not self._is_main:
            for _ in self._weights():  # sharded weights are gathered by all processes
                pass
            return
        with self._nccl.weight_update():
            for name, weight in self._weights():
                self._nccl.update_named_param(name, weight)

    def close(self) -> None:
        """Let the connections go."""
        self._http.close()
        if self._nccl is not None:
            self._nccl.close_communicator()

    def _post(self, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        import httpx

        try:
            answer = self._http.post(path, json=body)
            answer.raise_for_status()
            found: dict[str, Any] = answer.json() if answer.content else {}
        except httpx.HTTPStatusError as error:
            said = error.response.text[:300]
            raise SamplerLost(f"{self._settings.url}{path}: {error.response.status_code} {said}") from error
        except (httpx.HTTPError, ValueError) as error:
            raise SamplerLost(f"{self._settings.url}{path}: {type(error).__name__}: {error}") from error
        return found
