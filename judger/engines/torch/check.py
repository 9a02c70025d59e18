"""Proves at load that the cascade and the model's own attention say the same.

The proof is in float32, whatever the model computes in: half precision rounds real models so coarsely that a sound one
may be off by as much as a wrong mask is. Half precision is measured against its own rounding after that, for the
kernels that only it takes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from judger.engines.tokens import Tree
from judger.engines.torch import attention
from judger.engines.torch.cascade import Cascade
from judger.engines.torch.last import wrap_last_layer
from judger.errors import EngineError

__all__ = ["DOES_NOT_RUN", "TOLERANCE", "in_float32", "self_check"]

TOLERANCE = 1e-3
"""How far a log-probability may be off in float32; a wrong mask is off by far more."""
ROUNDING = 6.0
"""How much more than the model's own attention the cascade may round in half precision, as a ratio of the root mean
squares over all that is compared. Both are rounding, so the ratio is about 1; a wrong kernel makes it tens."""
FLOOR = 0.02
"""Root mean square of log-probability that is always allowed: a model may round by next to nothing."""

DOES_NOT_RUN = (ValueError, TypeError, RuntimeError, AttributeError, KeyError)
"""What a model's code raises when it is handed what it doesn't know."""


@torch.inference_mode()
def self_check(model: Any, name: str) -> bool:
    """Whether the last layer may be trimmed; a model that doesn't bear it is computed whole.

    Leaves the model with the cascade's attention. It catches what no list of architectures would: position biases,
    attention sinks, layers that share keys, models that drop the keyword. Raises EngineError where they differ.
    """
    tree, columns = small_tree(model)
    kind = type(model).__name__
    is_half = next(model.parameters()).dtype != torch.float32
    try:
        with in_float32(model):
            truth = alone(model, tree, columns)
            trim, off = exactly(model, tree, columns, truth)
        if not off <= TOLERANCE:
            raise EngineError(
                f"{name}: {kind} can't be judged in one pass: a branch on a shared prefix differs from its lone prompt "
                f"by {off:.3g} in log-probability. Use the vllm engine for it"
            )
        if is_half:
            own = spread(alone(model, tree, columns) - truth)
            model.set_attn_implementation(attention.NAME)
            ours = spread(together(model, tree, columns, trim) - truth)
            if not ours <= ROUNDING * own + FLOOR:
                raise EngineError(
                    f"{name}: {kind} can't be judged in half precision: in one pass its log-probabilities are off by "
                    f"{ours:.3g}, alone by {own:.3g}. Use float32"
                )
    except DOES_NOT_RUN as error:
        raise EngineError(f"{name}: {kind} does not run in one pass: {error}") from error
    finally:
        model.set_attn_implementation(attention.NAME)
    return trim


def exactly(model: Any, tree: Tree, columns: list[int], truth: Tensor) -> tuple[bool, float]:
    """Whether the last layer can be trimmed, and how far the cascade is off at most that way."""
    model.set_attn_implementation(attention.NAME)
    if wrap_last_layer(model):
        with contextlib.suppress(*DOES_NOT_RUN):
            off = float((together(model, tree, columns, True) - truth).abs().max())
            if off <= TOLERANCE:
                return True, off
    return False, float((together(model, tree, columns, False) - truth).abs().max())


def together(model: Any, tree: Tree, columns: list[int], trim: bool) -> Tensor:
    """Log-probabilities [branches, columns] in one pass; the model has the cascade's attention."""
    cascade = Cascade(model, step_tokens=4096, cache_bytes=0, trim=trim)
    (found,) = cascade.log_probs([(tree, range(len(tree.branches)))], columns)
    return found


def alone(model: Any, tree: Tree, columns: list[int]) -> Tensor:
    """The same prompt by prompt, with the model's own attention."""
    model.set_attn_implementation("eager")
    device = next(model.parameters()).device
    rows = []
    for index in range(len(tree.branches)):
        logits = model(input_ids=torch.tensor([tree.lone(index)], device=device), use_cache=False).logits[0, -1]
        rows.append(torch.log_softmax(logits.float(), -1)[columns].cpu())
    return torch.stack(rows)


def spread(differences: Tensor) -> float:
    """Root mean square; NaN where anything is."""
    return float(differences.square().mean().sqrt())


def small_tree(model: Any) -> tuple[Tree, list[int]]:
    """A tree of random tokens, and the columns of the vocabulary that are compared."""
    generator = torch.Generator().manual_seed(0)
    vocabulary = int(model.config.get_text_config().vocab_size)

    def some(count: int) -> tuple[int, ...]:
        return tuple(torch.randint(0, vocabulary, (count,), generator=generator).tolist())

    tree = Tree(
        shared=some(5),
        report=some(24),
        polarities=(some(4), some(6)),
        branches=((0, some(3)), (1, some(6)), (0, some(5)), (1, some(2))),
    )
    return tree, list(some(32))


@contextlib.contextmanager
def in_float32(model: nn.Module) -> Iterator[None]:
    """A half-precision model computes in float32 within the block, on the weights that it has.

    Each module's own weights are widened while it runs and put back after: the memory is that of the largest one, not
    of the whole model twice over. Widening is exact, and so is what is put back.
    """
    handles, kept = [], {}

    def widen(module: nn.Module, args: Any) -> None:
        for parameter in module.parameters(recurse=False):
            if parameter.dtype in (torch.float16, torch.bfloat16):
                kept[parameter] = parameter.data
                parameter.data = parameter.data.float()

    def narrow(module: nn.Module, args: Any, output: Any) -> None:
        for parameter in module.parameters(recurse=False):
            if parameter in kept:
                parameter.data = kept.pop(parameter)

    def widened(module: nn.Module, args: Any, output: Tensor) -> Tensor:
        return output.float()

    try:
        for module in model.modules():
            if isinstance(module, nn.Embedding) and type(module).forward is nn.Embedding.forward:
                handles.append(module.register_forward_hook(widened))  # a table is looked up, not computed with
            elif next(module.parameters(recurse=False), None) is not None:
                handles.append(module.register_forward_pre_hook(widen))
                handles.append(module.register_forward_hook(narrow, always_call=True))
        yield
    finally:
        for handle in handles:
            handle.remove()
        for parameter, data in kept.items():
            parameter.data = data
