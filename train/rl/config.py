"""The settings of a run, parsed once, frozen, unknown keys refused."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from policy.errors import ConfigError
from train.precision import Precision
from train.presets import rl_preset

__all__ = [
    "ColocatedSettings",
    "GRPOSettings",
    "PPOSettings",
    "RLSettings",
    "VLLMSettings",
    "WatchSettings",
    "load_rl_settings",
]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class PPOSettings(_Frozen):
    """What PPO alone has."""

    critic_lr: float = Field(default=1e-5, gt=0)
    """Learning rate of the critic."""
    epochs: int = Field(default=1, ge=1)
    """Passes over a batch for the policy."""
    critic_epochs: int = Field(default=1, ge=1)
    """Passes over a batch for the critic."""
    minibatches: int = Field(default=4, ge=1)
    """Optimizer steps a pass."""
    critic_sees_rubric: bool = False
    """Let the critic read the task's criteria and weights before the episode, with their tokens on top of the model's
    window. The policy never does. What is known before an episode makes no difference on average to which way the
    policy is pushed, only to how noisily (asymmetric actor-critic, Pinto et al. 2017, arXiv 1710.06542)."""
    critic_average: float = Field(default=0.0, ge=0, lt=1)
    """Take values from a running average of the critic's weights, of which this share is kept at each of its optimizer
    steps; 0: from the critic itself. Needs whole weights in every process (no FSDP, no ZeRO)."""
    critic_warmup: int = Field(default=0, ge=0)
    """Steps in which only the critic learns, before the policy is touched."""
    gamma: float = Field(default=1.0, gt=0, le=1)
    """Discount."""
    lam: float = Field(default=1.0, ge=0, le=1)
    """Lambda of GAE."""
    clip: float = Field(default=0.2, gt=0)
    """How far the probability ratio may usefully leave 1."""
    value_clip: float = Field(default=0.2, gt=0)
    """How far a value may usefully move in one batch."""
    whiten: bool = True
    """Advantages of mean 0 and variance 1 over the whole batch."""
    entropy_bonus: float = Field(default=0.0, ge=0)
    """Coefficient of the entropy in the loss."""
    kl_target: float | None = Field(default=None, gt=0)
    """Steer the KL coefficient to this KL an episode; fixed without it."""
    kl_horizon: int = Field(default=10_000, ge=1)
    """Episodes over which the coefficient is steered."""


class GRPOSettings(_Frozen):
    """What GRPO alone has."""

    iterations: int = Field(default=1, ge=1)
    """Passes over a batch."""
    minibatches: int = Field(default=1, ge=1)
    """Optimizer steps a pass."""
    micro_episodes: int = Field(default=8, ge=1)
    """The most episodes that go through the model at once."""
    clip: float = Field(default=0.2, gt=0)
    """How far the probability ratio may usefully leave 1."""
    scale_rewards: Literal["group", "batch", "none"] = "group"
    """By which standard deviation advantages are divided."""
    loss_type: Literal["grpo", "bnpo", "dr_grpo", "dapo"] = "dapo"
    """How TRL averages the loss over tokens."""


class VLLMSettings(_Frozen):
    """A vLLM server that samples, started with VLLM_SERVER_DEV_MODE=1 and the model that the run begins with."""

    url: str
    """Such as http://host:8000."""
    model: str
    """The name it serves the model by."""
    sync: Literal["nccl", "disk"] = "nccl"
    """How it gets the weights: over NCCL (GPUs alone; the server needs --weight-transfer-config '{"backend": "nccl"}'),
    or by reading OUT/sampler, which it has to see under the same path."""
    timeout: float = Field(default=600.0, gt=0)
    """Seconds that a reply, or taking new weights, may take."""
    at_once: int = Field(default=256, ge=1)
    """Replies that a process asks for at the same time."""


class ColocatedSettings(_Frozen):
    """vLLM in the learner's place, for a run of one process: it shares its GPU, and reads the weights from
    OUT/sampler."""

    memory: float = Field(default=0.4, gt=0, lt=1)
    """Share of the GPU's memory that it takes, for as long as the run lasts."""
    tokens: int | None = Field(default=None, ge=1)
    """Of a prompt with its reply; the model's own window without it."""
    at_once: int = Field(default=256, ge=1)
    """Replies that it writes at the same time."""
    eager: bool = False
    """Without CUDA graphs: a quicker start, slower replies."""


class WatchSettings(_Frozen):
    """Bounds of the hacking watch, whose figures enter no reward. A run that leaves one is stopped with its state
    saved; the same command with a wider bound, or without it, goes on."""

    repetition: float | None = Field(default=None, gt=0, le=1)
    """The largest share of a report's word 4-grams that it had said before, as the mean of a batch."""
    min_words: float | None = Field(default=None, ge=0)
    """The fewest words of a report, as the mean of a batch."""
    max_words: float | None = Field(default=None, gt=0)
    """The most."""
    steps: int = Field(default=3, ge=1)
    """Batches in a row that are out of bounds before the run is stopped."""


class RLSettings(_Frozen):
    """The whole configuration file of `judger-train rl`."""

    steps: int = Field(default=200, ge=1)
    """Batches of episodes."""
    tasks_per_step: int = Field(default=8, ge=1)
    """Different tasks in a batch."""
    group: int = Field(default=4, ge=1)
    """Episodes of each task in a batch; GRPO needs two."""
    mapping: Literal["strict", "ternary", "expected"] = "strict"
    """Which reward is learned from. strict: of the label alone, for a judge whose single verdicts are right. expected:
    of the judge's probabilities; it ranks reports better with the built-in judge, whose labels tie many of them."""
    lr: float = Field(default=1e-6, gt=0)
    """Learning rate of the policy."""
    warmup: int = Field(default=0, ge=0)
    """Steps over which the learning rate rises to its value."""
    kl: float = Field(default=0.01, ge=0)
    """Coefficient of the KL divergence from the model that the run began with."""
    temperature: float = Field(default=1.0, gt=0)
    """Of the sampling."""
    turn_tokens: int | None = Field(default=None, ge=1)
    """The most tokens of a reply, under the agent's own limit."""
    linger: float = Field(default=0.2, ge=0)
    """Seconds for which a batch of replies waits for the episodes whose tools are at work. Where that is more than any
    tool takes, batches, and with them the last digits of a run's figures, do not depend on how busy the machine is."""
    max_grad_norm: float = Field(default=1.0, gt=0)
    """Gradients of policy and critic are each clipped to this norm."""
    micro_tokens: int = Field(default=8192, ge=1)
    """Tokens with padding that go through a model at once."""
    save_every: int = Field(default=10, ge=1)
    """Steps between checkpoints."""
    keep: int = Field(default=2, ge=1)
    """Checkpoints kept."""
    seed: int = 0
    """Of task order, sampling and minibatches."""
    precision: Precision = "auto"
    """Of the passes: bfloat16, float32, or auto, which is bfloat16 on a GPU that computes in it. Weights that are
    learned are float32 in any case."""
    attention: str = "sdpa"
    """The attention of transformers that learns, such as flash_attention_2 where flash-attn is installed."""
    gradient_checkpointing: bool = False
    """Compute activations again in the backward pass: less memory, a third more time."""
    packing: bool = False
    """PPO: sequences one behind the other in a row instead of padded. Worth it with flash_attention_2 alone; other
    attention works out the whole row's square."""
    gap_limit: float = Field(default=0.1, gt=0)
    """The most that a sampled token's log-probability may differ between the model that sampled and the one that
    learns, in nats, on average over a batch."""
    on_gap: Literal["stop", "warn"] = "stop"
    """What to do about a larger gap: end the run with its state saved, or say so and go on."""
    vllm: VLLMSettings | None = None
    """Replies by a vLLM server."""
    colocated: ColocatedSettings | None = None
    """Replies by vLLM beside the learner. Without either they are the model's in this process."""
    watch: WatchSettings = WatchSettings()
    """When the hacking watch stops the run."""
    ppo: PPOSettings = PPOSettings()
    """PPO."""
    grpo: GRPOSettings = GRPOSettings()
    """GRPO."""

    @model_validator(mode="after")
    def _one_writes(self) -> RLSettings:
        if self.vllm is not None and self.colocated is not None:
            raise ValueError("vllm and colocated: one of them writes the replies")
        return self

    @property
    def episodes(self) -> int:
        """Episodes a step."""
        return self.tasks_per_step * self.group


def load_rl_settings(path: Path | None, *, preset: str | None = None, algo: str = "ppo", **given: Any) -> RLSettings:
    """The settings in a TOML file, over those of a preset and under those `given`. Raises ConfigError that names every
    fault."""
    data: dict[str, Any] = rl_preset(preset, algo) if preset else {}
    if path is not None:
        try:
            own = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path}: {error}") from error
        for key, value in own.items():  # a table goes over a table key by key
            data[key] = {**data[key], **value} if isinstance(value, dict) and isinstance(data.get(key), dict) else value
    data.update({key: value for key, value in given.items() if value is not None})
    try:
        return RLSettings.model_validate(data)
    except ValidationError as error:
        where = path or "settings"
        raise ConfigError(
            "\n".join(f"{where}: {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        ) from error
