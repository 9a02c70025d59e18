"""What an engine is: two small Protocols, and the values that pass through them.

An `Engine` is synchronous and runs a batch of planned cases on one device; the batcher owns it and calls `run` from
one thread. A `SelfBatching` engine (vLLM, a remote endpoint) schedules by itself and is asked one case at a time.
Everything an engine returns is raw: calibration, labels and rewards are made outside (`judger.verdict`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Protocol, runtime_checkable

from judger.types import Case, Explain, Probabilities, Span, Unscored
from judger.verdict import IDENTITY, Calibration


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Everything that can change a verdict. Its digest is the `judge_id`."""

    engine: str
    """mini, torch, vllm, openai, decisions or scripted."""
    model: str
    """For people: a name, not a path."""
    engine_version: str
    """This package's, and those of the libraries that compute."""
    weights: str
    """Digest of the weights (for a remote model, its name)."""
    tokenizer: str
    prompt: str
    """Digest of the prompt as text, or of what stands for it; without the fence key."""
    precision: str = "float32"
    endpoint: str = ""
    """Where a remote model is: the same name somewhere else may be another model."""
    code: str = ""
    """Digest of the source that makes the verdicts (`judger.engines.code`)."""
    device: str = ""
    """cpu or cuda: they round differently."""
    fence: str = ""
    """Digest of the fence key, which is in every prompt."""
    settings: str = ""
    """What else shapes a verdict, such as a reason's budget."""

    @property
    def model_id(self) -> str:
        """The model as it is asked, on whatever machine: what a calibration is fitted for.

        16 hex digits behind the engine's name. Left out is what only moves the rounding, or differs between machines
        and releases that ask alike: versions, code, device, fence key, budgets.
        """
        parts = [self.engine, self.weights, self.tokenizer, self.prompt, self.precision, self.endpoint]
        return f"{self.engine}-{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]}"

    def judge_id(self, calibration: Calibration) -> str:
        """A digest of the identity and the calibration: 24 hex digits behind the engine's name."""
        text = json.dumps([asdict(self), asdict(calibration)], sort_keys=True, ensure_ascii=True)
        return f"{self.engine}-{hashlib.sha256(text.encode()).hexdigest()[:24]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What GetJudge tells a caller."""

    languages: tuple[str, ...] = ()
    """BCP 47 tags; empty where the model decides."""
    can_explain: bool = False
    reads_together: bool = False
    """Whether a criterion's verdict depends on the others of its call: what is kept of it then holds for those only."""
    can_compare: bool = False
    """Whether it takes `PAIR_TIER`."""
    prompt_tokens: int = 0
    """The longest prompt; 0 for no such limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """How a case is judged. Part of what makes two criteria identical."""

    explain: Explain = Explain.NEVER
    explain_margin: float = 0.0
    trials: int = 1
    is_pairwise: bool = False
    """The criteria's texts are other reports. Fully: the case's own is better than this one; partially: neither is."""
    together: str = ""
    """Of an engine that `reads_together`: a digest of all criteria of the call."""
    calibration: Calibration = IDENTITY
    """The judge's, which may be another than the engine's own: UNDER_MARGIN goes by the margins that are given out."""


VERDICT_TIER = Tier()
PAIR_TIER = Tier(is_pairwise=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an engine says of one criterion: probabilities or why there are none."""

    result: Probabilities | Unscored
    evidence: tuple[Span, ...] = ()
    rationale: str | None = None
    prompt_tokens: int = 0
    """Tokens of this criterion's prompt."""
    shared_tokens: int = 0
    """Those of them that were computed for all criteria at once, or cached."""
    label_mass: float | None = None
    """How much of a model's distribution lies on the labels; None where the verdict is read off something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A case made ready for one `Engine.run`: what it costs, and what is refused already."""

    case: Case
    tier: Tier
    tokens: int
    """The cost against the batch's token budget."""
    payload: object = None
    """The engine's own: token ids, windows."""
    refused: dict[int, Unscored] = field(default_factory=dict)
    """By position in `case.criteria`; the engine returns these as they are."""


class EngineInfo(Protocol):
    """What every engine can say of itself."""

    @property
    def identity(self) -> Identity: ...

    @property
    def calibration(self) -> Calibration: ...

    @property
    def capabilities(self) -> Capabilities: ...

    def close(self) -> None:
        """Frees what the engine holds. The engine is not used again."""
        ...


@runtime_checkable
class Engine(EngineInfo, Protocol):
    """Runs planned cases in batches, on one device, from one thread."""

    def plan(self, case: Case, tier: Tier) -> Plan:
        """Tokenises, counts and refuses what can't be judged. May run in any thread, beside `run`."""
        ...

    def run(self, plans: Sequence[Plan]) -> list[list[Outcome]]:
        """One list per plan, one outcome per criterion of its case, in order. Independent of the batch's company.

        What fails for one case comes back as its `Unscored`; an exception means that the whole batch failed.
        """
        ...


@runtime_checkable
class SelfBatching(EngineInfo, Protocol):
    """Takes one case at a time and batches by itself (continuous batching, a remote service)."""

    async def judge(self, case: Case, tier: Tier) -> list[Outcome]:
        """One outcome per criterion, in order. Cancelling frees what the case holds."""
        ...


__all__ = [
    "IDENTITY",
    "PAIR_TIER",
    "VERDICT_TIER",
    "Capabilities",
    "Engine",
    "EngineInfo",
    "Identity",
    "Outcome",
    "Plan",
    "SelfBatching",
    "Tier",
]
