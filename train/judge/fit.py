"""Stage two: the reader, trained on shards of evidence. Balanced by source, origin and class; resumable; one seed.

Deviations from the textbook: sources without a "partially" have their loss on the strict bit alone, so that they
teach nothing about where not ends and partially begins; an omission is trained as the turned answer about its core.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn import functional as F
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from judger.engines.mini.features import MARKS, NAMES
from judger.engines.mini.model import Reader, ReaderShape, polarity
from train.judge.data import split_of
from train.judge.evidence import Shard

PARTIALLY = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a reader is trained. `epoch` examples are drawn between two looks at the dev split."""

    epoch: int = 6_000
    epochs: int = 4
    batch: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 0.02
    smoothing: float = 0.05
    synthetic_share: float = 0.25
    cap: int = 1_500
    """A source's weight is the root of its size, which counts up to this."""
    seed: int = 0


@dataclass(slots=True)
class Source:
    """A shard with what drawing from it needs. split: of each pair; ternary: whether its people use "partially"."""

    name: str
    shard: Shard
    labels: np.ndarray
    negative: np.ndarray
    split: np.ndarray
    ternary: bool
    synthetic: bool

    @property
    def satisfied(self) -> np.ndarray:
        return np.asarray(np.where(self.negative, self.labels >= 1, self.labels == 2))


def sources(shards: Mapping[str, Shard], seed: int) -> list[Source]:
    """The split is by what reports have in common: their group where it is an article, else the report."""
    ternary = {
        name.split("+")[0]
        for name, shard in shards.items()
        if "+" not in name and any(item["label"] == PARTIALLY for item in shard.items)
    }
    found = []
    for name, shard in shards.items():
        if not len(shard):
            continue
        groups = {item["group"] for item in shard.items}
        fine = len(groups) >= 40
        keys = [item["group"] if fine and item["group"] else item["document"] for item in shard.items]
        found.append(
            Source(
                name,
                shard,
                np.array([item["label"] for item in shard.items]),
                np.array([item["negative"] for item in shard.items]),
                np.array([split_of(f"{name.split('+')[0]}/{key}", seed=seed) for key in keys]),
                name.split("+")[0] in ternary,
                "+" in name,
            )
        )
    return found


Inputs = tuple[Tensor, ...]


def collate(items: Sequence[tuple[Source, int]]) -> Inputs:
    """The reader's inputs, padded, as in `judger.engines.mini.compute.collate`."""
    sizes = [int(s.shard.at[i + 1] - s.shard.at[i]) for s, i in items]
    length, width = max(sizes), items[0][0].shard.own.shape[1]
    own = np.zeros((len(items), length, width), np.float32)
    other = np.zeros_like(own)
    marks = np.zeros((len(items), length, MARKS), np.float32)
    mask = np.zeros((len(items), length), np.bool_)
    figures = np.zeros((len(items), len(NAMES)), np.float32)
    for row, ((s, i), size) in enumerate(zip(items, sizes, strict=True)):
        start, end = s.shard.at[i], s.shard.at[i + 1]
        own[row, :size], other[row, :size] = s.shard.own[start:end], s.shard.other[start:end]
        marks[row, :size], mask[row, :size] = s.shard.marks[start:end], True
        figures[row] = s.shard.figures[i]
    vectors = np.stack([s.shard.vectors[i] for s, i in items]).astype(np.float32)
    return tuple(map(torch.from_numpy, (own, other, marks, mask, figures, vectors)))


@torch.inference_mode()
def predict(reader: Reader, source: Source, where: np.ndarray, device: str = "cpu") -> np.ndarray:
    """Log-probabilities (n, 3) of the pairs at `where`."""
    reader.eval()
    out = np.zeros((len(where), 3), np.float32)
    at = source.shard.at
    order = np.argsort(at[where + 1] - at[where], kind="stable")
    for first in range(0, len(order), 64):
        rows = order[first : first + 64]
        inputs = [x.to(device) for x in collate([(source, int(i)) for i in where[rows]])]
        out[rows] = polarity(reader(*inputs), inputs[4]).log_softmax(-1).cpu().numpy()
    return out


def loss(logits: Tensor, items: Sequence[tuple[Source, int]], smoothing: float) -> Tensor:
    """Cross-entropy of the strict bit; where people used three labels, half of it on those."""
    device = logits.device
    labels = torch.tensor([int(s.labels[i]) for s, i in items], device=device)
    negative = torch.tensor([bool(s.negative[i]) for s, i in items], device=device)
    ternary = torch.tensor([s.ternary for s, _ in items], device=device)
    p = logits.log_softmax(-1)
    above = torch.where(negative, torch.logsumexp(p[:, 1:], -1), p[:, 2])
    below = torch.where(negative, p[:, 0], torch.logsumexp(p[:, :2], -1))
    satisfied = torch.where(negative, labels >= 1, labels == 2)
    e = smoothing
    strict = -torch.where(satisfied, (1 - e) * above + e * below, (1 - e) * below + e * above)
    three = F.cross_entropy(logits, labels, label_smoothing=e, reduction="none")
    return torch.where(ternary, 0.5 * strict + 0.5 * three, strict).mean()


class Draw:
    """Draws training pairs: a source, then a class of the strict bit, then a label, then a pair."""

    def __init__(self, all_: Sequence[Source], recipe: Recipe, rng: np.random.Generator) -> None:
        self.rng = rng
        self.sources: list[Source] = []
        self.pools: list[list[list[np.ndarray]]] = []
        weights = []
        for s in all_:
            train = np.flatnonzero(s.split == "train")
            sides = [
                [
                    pool
                    for label in range(3)
                    if len(pool := train[(s.labels[train] == label) & (s.satisfied[train] == side)])
                ]
                for side in (False, True)
            ]
            sides = [side for side in sides if side]
            if not sides:
                continue
            self.sources.append(s)
            self.pools.append(sides)
            # One class alone says little, and would move the base rate.
            weights.append(min(len(train), recipe.cap) ** 0.5 * (1.0 if len(sides) == 2 else 0.4))
        w = np.array(weights)
        made = np.array([s.synthetic for s in self.sources])
        if made.any() and not made.all():
            w[made] *= recipe.synthetic_share / w[made].sum()
            w[~made] *= (1 - recipe.synthetic_share) / w[~made].sum()
        self.weights = w / w.sum()

    def __call__(self) -> tuple[Source, int]:
        k = int(self.rng.choice(len(self.weights), p=self.weights))
        sides = self.pools[k]
        labels = sides[int(self.rng.integers(len(sides)))]
        pool = labels[int(self.rng.integers(len(labels)))]
        return self.sources[k], int(pool[int(self.rng.integers(len(pool)))])


def dev_figures(reader: Reader, all_: Sequence[Source], device: str = "cpu", limit: int = 150) -> dict[str, float]:
    """Area under the ROC curve of P(satisfied) on each source's dev split; sources with one class are left out."""
    found = {}
    for s in all_:
        where = np.flatnonzero(s.split == "dev")
        where = np.random.default_rng(0).permutation(where)[:limit]  # a shard begins with its shortest reports
        truth = s.satisfied[where]
        if len(where) < 20 or truth.all() or not truth.any():
            continue
        p = np.exp(predict(reader, s, where, device))
        found[s.name] = float(roc_auc_score(truth, np.where(s.negative[where], 1 - p[:, 0], p[:, 2])))
    return found


def fit(all_: Sequence[Source], recipe: Recipe, shape: ReaderShape, folder: Path, device: str = "cpu") -> Reader:
    """Trains a reader, or goes on where an interrupted run was; keeps the weights that were best on the dev split."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    rng = np.random.default_rng(recipe.seed)
    reader = Reader(shape).to(device)
    train = np.concatenate([s.shard.figures[s.split == "train"] for s in all_])
    with torch.no_grad():
        reader.centre.copy_(torch.from_numpy(train.mean(0)))
        reader.scale.copy_(torch.from_numpy(train.std(0) + 1e-3))
    steps = recipe.epochs * recipe.epoch // recipe.batch
    optimizer = torch.optim.AdamW(reader.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.learning_rate, total_steps=steps + 1, pct_start=0.1
    )
    draw = Draw(all_, recipe, rng)
    step, best = 0, -1.0
    state_file, best_file = folder / "state.pt", folder / "best.pt"
    if state_file.exists():
        state: dict[str, Any] = torch.load(state_file, weights_only=True)
        for part, name in ((reader, "reader"), (optimizer, "optimizer"), (schedule, "schedule")):
            part.load_state_dict(state[name])
        step, best = int(state["step"]), float(state["best"])
        rng.bit_generator.state = json.loads(state["rng"])
        torch.set_rng_state(state["torch"])
    log = SummaryWriter(str(folder / "log"))
    bar = tqdm(total=steps, initial=step, desc=folder.name, unit="step", mininterval=5)
    began = time.monotonic()
    while step < steps:
        many = sorted(
            (draw() for _ in range(recipe.batch * 8)), key=lambda x: x[0].shard.at[x[1] + 1] - x[0].shard.at[x[1]]
        )
        for k in rng.permutation(8):
            items = many[k * recipe.batch : (k + 1) * recipe.batch]
            reader.train()
            inputs = [x.to(device) for x in collate(items)]
            value = loss(polarity(reader(*inputs), inputs[4]), items, recipe.smoothing)
            optimizer.zero_grad()
            value.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(reader.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            step += 1
            bar.update()
            if step % 20 == 0:
                log.add_scalar("loss", value.item(), step)
                log.add_scalar("learning_rate", schedule.get_last_lr()[0], step)
            if step >= steps:
                break
        if step % (recipe.epoch // recipe.batch) < 8 or step >= steps:
            auc = dev_figures(reader, all_, device)
            mean = float(np.mean(list(auc.values()))) if auc else 0.0
            for name, area in auc.items():
                log.add_scalar(f"dev/{name}", area, step)
            log.add_scalar("dev/mean", mean, step)
            tqdm.write(f"{folder.name} step {step}/{steps} dev {mean:.4f} {time.monotonic() - began:.0f} s")
            if mean >= best:
                best = mean
                torch.save(reader.state_dict(), best_file)
            state = {
                "reader": reader.state_dict(),
                "optimizer": optimizer.state_dict(),
                "schedule": schedule.state_dict(),
            }
            state |= {
                "step": step,
                "best": best,
                "rng": json.dumps(rng.bit_generator.state),
                "torch": torch.get_rng_state(),
            }
            torch.save(state, state_file)
    bar.close()
    log.close()
    reader.load_state_dict(torch.load(best_file, weights_only=True))
    return reader.eval()
