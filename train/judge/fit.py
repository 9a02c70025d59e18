"""Stages two and three: the reader, tuned whole on what is drawn for it. Resumable; one seed.

The older labels come first, for they are many and short; then the rubrics, with some of the older ones beside them.
Deviations from the textbook: the loss is that of the strict bit, which is what counts, and where a label tells more
partly that of the three labels; learning rates are high for a reader this small, and fall to almost nothing.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from judger.engines.mini.encoder import Encoder
from judger.engines.mini.model import Reader, collate
from train.judge.draw import Lesson


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a reader is trained in one stage. steps: updates of `batch` lessons each."""

    steps: int = 1_300
    batch: int = 32
    learning_rate: float = 1.2e-4
    head_rate: float = 3.0
    """The new layers' rate, as a multiple."""
    warmup: int = 120
    floor: float = 0.02
    """The last rate, as a share of the first."""
    weight_decay: float = 0.02
    dropout: float = 0.1
    smoothing: float = 0.03
    three: float = 0.4
    """Share of the loss on the three labels, where they are known."""
    save_every: int = 200
    seed: int = 0


OLDER = Recipe(steps=800, learning_rate=1.5e-4, head_rate=4.0, warmup=100, floor=0.35, weight_decay=0.01)
SORTED = 8
"""Batches drawn together and sorted by length."""


def loss(logits: Tensor, lessons: Sequence[Lesson], recipe: Recipe) -> Tensor:
    """Cross-entropy of the strict bit, and of the three labels where they are known; weighed by lesson."""
    device = logits.device
    labels = torch.tensor([lesson.label for lesson in lessons], device=device)
    negative = torch.tensor([lesson.negative for lesson in lessons], device=device)
    known = torch.tensor([lesson.three for lesson in lessons], device=device)
    weight = torch.tensor([lesson.weight for lesson in lessons], device=device)
    p = logits.log_softmax(-1)
    above = torch.where(negative, torch.logsumexp(p[:, 1:], -1), p[:, 2])
    below = torch.where(negative, p[:, 0], torch.logsumexp(p[:, :2], -1))
    satisfied = torch.where(negative, labels >= 1, labels == 2)
    e = recipe.smoothing
    strict = -torch.where(satisfied, (1 - e) * above + e * below, (1 - e) * below + e * above)
    three = F.cross_entropy(logits, labels, label_smoothing=e, reduction="none")
    each = torch.where(known, (1 - recipe.three) * strict + recipe.three * three, strict)
    return (each * weight).sum() / weight.sum()


def start(encoder: Encoder, recipe: Recipe) -> Reader:
    """A reader whose layers are the base encoder's."""
    torch.manual_seed(recipe.seed)
    reader = Reader(encoder.shape, encoder.words, recipe.dropout)
    mine = encoder.state_dict()
    reader.load_state_dict({n: v for n, v in mine.items() if n != "words.weight"}, strict=False)
    torch.nn.init.normal_(reader.out.weight, std=0.02)
    torch.nn.init.zeros_(reader.out.bias)
    return reader


def rate(step: int, recipe: Recipe) -> float:
    """The learning rate at a step, as a share: up in a line, down in a line."""
    return min(1.0, (step + 1) / recipe.warmup) * max(recipe.floor, 1 - (1 - recipe.floor) * step / recipe.steps)


def fit(
    reader: Reader,
    draw: Callable[[int], Callable[[], Lesson]],
    recipe: Recipe,
    folder: Path,
    device: str = "cpu",
) -> Reader:
    """Trains the reader, or goes on where an interrupted run was.

    draw: given a seed, what gives one lesson after the other. Each `save_every` steps begin with a seed of their own,
    so that a run that was interrupted sees what one that was not does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    reader = reader.to(device)
    for layer in reader.layers:
        layer.dropout.p = recipe.dropout
    reader.dropout.p = recipe.dropout
    new = [p for name, p in reader.named_parameters() if name.startswith(("pool", "out", "second"))]
    old = [p for name, p in reader.named_parameters() if not name.startswith(("pool", "out", "second"))]
    optimizer = torch.optim.AdamW([{"params": old}, {"params": new}], weight_decay=recipe.weight_decay)
    state_file = folder / "state.pt"
    step = 0
    if state_file.exists():
        state: dict[str, Any] = torch.load(state_file, weights_only=True)
        reader.load_state_dict(state["reader"])
        optimizer.load_state_dict(state["optimizer"])
        step = int(state["step"])
    log = SummaryWriter(str(folder / "log"))
    bar = tqdm(total=recipe.steps, initial=step, desc=folder.name, unit="step", mininterval=5)
    began = time.monotonic()
    while step < recipe.steps:
        torch.manual_seed(recipe.seed * 100_003 + step)
        rng = random.Random(f"{recipe.seed}/{step}")
        following = draw(recipe.seed * 100_003 + step)
        until = min(step + recipe.save_every, recipe.steps)
        while step < until:
            many = sorted((following() for _ in range(recipe.batch * SORTED)), key=lambda one: len(one.reading.ids))
            for k in rng.sample(range(SORTED), min(SORTED, until - step)):
                value = _step(reader, many[k * recipe.batch : (k + 1) * recipe.batch], optimizer, step, recipe, device)
                step += 1
                bar.update()
                if step % 20 == 0:
                    log.add_scalar("loss", value, step)
        state = {"reader": reader.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
        torch.save(state, state_file.with_suffix(".part"))
        state_file.with_suffix(".part").replace(state_file)
        tqdm.write(f"{folder.name} step {step}/{recipe.steps} {time.monotonic() - began:.0f} s")
    bar.close()
    log.close()
    return reader.eval()


def _step(
    reader: Reader,
    lessons: Sequence[Lesson],
    optimizer: torch.optim.Optimizer,
    step: int,
    recipe: Recipe,
    device: str,
) -> float:
    reader.train()
    share = rate(step, recipe)
    for group, times in zip(optimizer.param_groups, (1.0, recipe.head_rate), strict=True):
        group["lr"] = recipe.learning_rate * share * times
    inputs = collate([lesson.reading for lesson in lessons], device)
    with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=_has_bfloat16(device)):
        logits = reader(*inputs)
    value = loss(logits, lessons, recipe)
    optimizer.zero_grad()
    value.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(reader.parameters(), 1.0)
    optimizer.step()
    return value.item()


def _has_bfloat16(device: str) -> bool:
    """Where bfloat16 is faster: a GPU, or a CPU that multiplies it (AMX, AVX-512 BF16); elsewhere it is slower."""
    cpu = torch.cpu
    return not device.startswith("cpu") or cpu._is_amx_tile_supported() or cpu._is_avx512_bf16_supported()
