"""What both training stages are told, and what they share: the model, checkpoints, logs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from judger.engines.tokens import end_of_turn
from train.judge.data import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The recipe's numbers. Zero steps leave a stage out; the SFT stage takes `epochs` where its steps are negative."""

    sft_steps: int = -1
    epochs: float = 2.0
    batch: int = 16
    """Samples a step of SFT, about: whole rows of them, or with `lone_prompts` in micro-batches of `micro_batch`."""
    micro_batch: int = 4
    row_tokens: int = 16_384
    """The longest row of a report with its criteria, where its prompt alone is not longer."""
    lone_prompts: bool = False
    """Read a report once a criterion: for models that can't share a prefix."""
    learning_rate: float = 1e-5
    rl_steps: int = 200
    prompts_per_step: int = 4
    generations: int = 8
    """Completions of one prompt: the group that an advantage is relative to."""
    rl_learning_rate: float = 1e-6
    temperature: float = 1.0
    reason_tokens: int = 256
    lora_rank: int = 0
    """0 trains all weights."""
    max_tokens: int = 0
    """Of prompt and answer; 0 for the model's own limit. What is longer is left out and counted."""
    flaws: float = 0.5
    """Share of the labelled requirements that stand again as the flaw of leaving them out."""
    source_power: float = 0.5
    """A source of n samples is drawn n ** source_power times: 1 as it comes, 0 all sources alike."""
    save_steps: int = 100
    device: str = "cpu"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.batch % self.micro_batch:
            raise DataError(f"a batch of {self.batch} can't be cut into micro-batches of {self.micro_batch}")
        if self.rl_steps and self.generations < 2:
            raise DataError("a group needs two generations at least")


def load(model: str | Path, settings: Settings, *, attention: str | None = None) -> tuple[Any, Any]:
    """The model to be trained and its tokenizer. Float32 weights, or bfloat16 under LoRA on CUDA."""
    import torch
    from transformers import AutoModelForCausalLM

    half = settings.lora_rank and settings.device.startswith("cuda")
    weights = AutoModelForCausalLM.from_pretrained(
        model,
        dtype=torch.bfloat16 if half else torch.float32,
        attn_implementation=attention,
        use_safetensors=True,
        trust_remote_code=False,
    )
    return weights, load_tokenizer(model)


def load_tokenizer(model: str | Path) -> Any:
    """The tokenizer, which ends a text where the chat template ends a turn: what is taught, sampled and served."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model, trust_remote_code=False)
    end = end_of_turn(tokenizer)
    if end is not None:
        tokenizer.eos_token = tokenizer.convert_ids_to_tokens(end)
    return tokenizer


def common(settings: Settings, folder: Path) -> dict[str, Any]:
    """The arguments that both trainers take."""
    cuda = settings.device.startswith("cuda")
    return {
        "output_dir": str(folder),
        "seed": settings.seed,
        "use_cpu": not cuda,
        "bf16": cuda,
        "gradient_checkpointing": cuda,
        "save_steps": settings.save_steps,
        "save_total_limit": 2,
        "logging_steps": 1,
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": cuda,
    }


def lora(settings: Settings) -> Any:
    """PEFT's settings, or None where all weights are trained."""
    if not settings.lora_rank:
        return None
    from peft import LoraConfig

    rank = settings.lora_rank
    return LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM")


def callbacks(runs: Path) -> list[Any]:
    """Scalars for TensorBoard."""
    from torch.utils.tensorboard import SummaryWriter
    from transformers.integrations import TensorBoardCallback

    return [TensorBoardCallback(SummaryWriter(str(runs)))]


def train(trainer: Any, folder: Path) -> list[Mapping[str, Any]]:
    """Trains from the last checkpoint in `folder`, if there is one; the log, a record a step."""
    from transformers.trainer_utils import get_last_checkpoint

    last = get_last_checkpoint(str(folder)) if folder.is_dir() else None
    trainer.train(resume_from_checkpoint=last)
    return list(trainer.state.log_history)


def save(trainer: Any, source: str | Path, folder: Path) -> None:
    """The trained model as one that can be served: LoRA merged in, and the tokenizer that it was trained with."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    if hasattr(model, "merge_and_unload"):
        model = model.merge_and_unload()
    model.save_pretrained(folder)
    load_tokenizer(source).save_pretrained(folder)


def as_json(settings: Settings) -> dict[str, Any]:
    return asdict(settings)
