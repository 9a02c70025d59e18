"""What PPO with a critic needs on a cluster, by arithmetic: `python -m train.scale --model qwen2.5-32b --gpus 64`.

With `--preset 7b` (or 32b): the memory of every stage under that preset, on accelerate with FSDP2.

Memory and time of one step, from the shape of the model and a few figures of the hardware. Assumed, and said in
docs/scale.md: everything sharded over all GPUs (ZeRO-3 or FSDP), bfloat16 compute over float32 master weights and Adam,
activations recomputed in the backward pass, flash attention, servers and trainer taking turns on the same GPUs. These
are estimates to size a cluster with; nothing here was measured on one.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

from train.presets import preset

__all__ = ["MODELS", "PRESET_GPUS", "Plan", "Shape", "memory", "seconds", "stages", "table"]

GB = 1e9
_BF16, _FP32 = 2, 4
_MASTER = 4 * _FP32  # weights, gradients, Adam's two moments


@dataclass(frozen=True, slots=True)
class Shape:
    """A decoder of the Qwen2 family: grouped-query attention with biases on q, k, v; SwiGLU; untied embeddings."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocabulary: int

    @property
    def layer_parameters(self) -> int:
        query, kv = self.heads * self.head_dim, self.kv_heads * self.head_dim
        attention = self.hidden * (query + 2 * kv) + (query + 2 * kv) + query * self.hidden
        return attention + 3 * self.hidden * self.intermediate + 2 * self.hidden

    @property
    def parameters(self) -> int:
        return self.layers * self.layer_parameters + 2 * self.vocabulary * self.hidden + self.hidden

    @property
    def critic_parameters(self) -> int:
        """The same trunk with one output in place of the vocabulary."""
        return self.parameters - self.vocabulary * self.hidden + self.hidden

    @property
    def kv_bytes(self) -> int:
        """Of one token in the servers' cache, over all layers."""
        return 2 * self.layers * self.kv_heads * self.head_dim * _BF16

    @property
    def activation_bytes(self) -> int:
        """Of one token in training: each layer's input, one layer recomputed, and the logits with their gradient.

        A layer keeps its two norms' outputs, q, k, v, attention's output, its projection, gate, up, their product and
        the result; logits are bfloat16, with a float32 log-softmax and a bfloat16 gradient.
        """
        query, kv = self.heads * self.head_dim, self.kv_heads * self.head_dim
        layer = _BF16 * (4 * self.hidden + 2 * query + 2 * kv + 3 * self.intermediate)
        return self.layers * self.hidden * _BF16 + layer + self.vocabulary * (2 * _BF16 + _FP32)

    def forward_flops(self, tokens: float, context: float) -> float:
        """Of `tokens` tokens that attend to `context` others each on average."""
        matrices = self.parameters - self.vocabulary * self.hidden  # looking a token up costs nothing
        return tokens * (2 * matrices + 4 * self.layers * self.heads * self.head_dim * context)


MODELS = {
    "qwen2.5-7b": Shape(28, 3584, 28, 4, 128, 18944, 152064),
    "qwen2.5-14b": Shape(48, 5120, 40, 8, 128, 13824, 152064),
    "qwen2.5-32b": Shape(64, 5120, 40, 8, 128, 27648, 152064),
}


PRESET_GPUS = {
    "7b": ("qwen2.5-7b", {"midtrain.1": 8, "midtrain.2": 8, "sft": 8, "rl": 8}),
    "32b": ("qwen2.5-32b", {"midtrain.1": 16, "midtrain.2": 64, "sft": 16, "rl": 64}),
}
"""The model that a preset is for, and the GPUs of 80 GB that each stage is meant to run on."""


def _option(default: float, text: str) -> float:
    return field(default=default, metadata={"help": text})  # type: ignore[return-value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The hardware and the step. Every field is an option of the command."""

    gpus: int = _option(64, "GPUs in all")
    gpu_gb: float = _option(80, "memory of one, GB")
    tflops: float = _option(989, "dense bfloat16 TFLOP/s of one")
    bandwidth: float = _option(3350, "its memory bandwidth, GB/s")
    network: float = _option(50, "network of one GPU between nodes, GB/s")
    mfu: float = _option(0.4, "share of the TFLOP/s that training reaches")
    mbu: float = _option(0.6, "share of the bandwidth that decoding reaches")
    tp: int = _option(4, "GPUs of one rollout server")
    utilization: float = _option(0.7, "share of a GPU's memory that the servers may take")
    prompts: int = _option(64, "prompts a step")
    samples: int = _option(4, "trajectories a prompt")
    tokens: int = _option(20_000, "tokens of a trajectory, tool output included")
    generated: int = _option(6_000, "those of them that the policy wrote")
    longest: float = _option(2, "the longest trajectory as a multiple of the mean: a step waits for it")
    row: int = _option(32_768, "the longest row")
    micro: int = _option(8_192, "tokens of a micro-batch on one GPU")
    tool_seconds: float = _option(30, "time in tools of one trajectory")
    judge_seconds: float = _option(1.83, "the judge's time for one report (mini on two cores, 26 criteria)")
    judges: int = _option(16, "judge servers")

    @property
    def trajectories(self) -> int:
        return self.prompts * self.samples

    @property
    def servers(self) -> int:
        return self.gpus // self.tp


def memory(shape: Shape, plan: Plan) -> dict[str, float]:
    """Bytes on one GPU by what takes them; the two phases do not hold theirs at the same time."""
    policy = shape.parameters * _MASTER / plan.gpus
    critic = shape.critic_parameters * _MASTER / plan.gpus
    reference = shape.parameters * _BF16 / plan.gpus
    # Two layers are whole at a time: one works, the next is on its way; embedding and head are gathered once each.
    gathered = _BF16 * (2 * shape.layer_parameters + 2 * shape.vocabulary * shape.hidden)
    activations = float(plan.micro * shape.activation_bytes)
    weights = shape.parameters * _BF16 / plan.tp
    room = plan.utilization * plan.gpu_gb * GB - weights
    return {
        "policy: weights, gradients, Adam": policy,
        "critic: weights, gradients, Adam": critic,
        "reference weights": reference,
        "gathered layers": gathered,
        "activations": activations,
        "training, peak": policy + critic + reference + gathered + activations,
        "training, peak, what rests offloaded": max(policy, critic) + gathered + activations,
        "server weights": weights,
        "server KV cache": max(0.0, room),
        "rollout, peak": weights + max(0.0, room),
        "host memory for what is offloaded": policy + critic + reference,
    }


def cache_tokens(shape: Shape, plan: Plan) -> int:
    """Tokens that one server's cache holds."""
    return int(memory(shape, plan)["server KV cache"] * plan.tp / shape.kv_bytes)


def seconds(shape: Shape, plan: Plan) -> dict[str, float]:
    """Wall time of one step by phase. Communication overlaps compute, so a pass takes the longer of the two."""
    context = plan.tokens / 2
    fits = cache_tokens(shape, plan) // plan.tokens
    waves = -(-plan.trajectories // max(1, plan.servers * fits))
    each = min(fits, -(-plan.trajectories // plan.servers)) if fits else 0  # trajectories a server decodes at once
    read = shape.parameters * _BF16 + each * context * shape.kv_bytes
    rounds = waves - 1 + plan.longest
    decode = rounds * plan.generated * read / (plan.tp * plan.bandwidth * GB * plan.mbu)
    total = plan.trajectories * plan.tokens
    speed = plan.gpus * plan.tflops * 1e12 * plan.mfu
    prefill = shape.forward_flops(total * (1 - plan.generated / plan.tokens), context) / speed
    rollout = decode + prefill + plan.tool_seconds * rounds if fits else float("inf")
    judge = plan.trajectories * plan.judge_seconds / plan.judges
    last = plan.judge_seconds * max(1.0, plan.trajectories / plan.servers / plan.judges)
    forward = shape.forward_flops(total, context) / speed
    batches = -(-total // (plan.micro * plan.gpus))
    gather = batches * shape.parameters * _BF16 / (plan.network * GB)
    scatter = batches * shape.parameters * _FP32 / (plan.network * GB)
    inference = max(forward, gather)
    update = max(4 * forward, 2 * gather + scatter)  # forward, forward again, backward
    phases = {
        "rollout": rollout,
        "judge, beyond the rollouts": max(last, judge - rollout),
        "log-probabilities: policy, reference": 2 * inference,
        "values: critic": inference,
        "update: policy": update,
        "update: critic": update,
        "weights to the servers": shape.parameters * _BF16 / plan.tp / (plan.network * GB),
    }
    return {**phases, "step": sum(phases.values()), "judge, in all (overlapped)": judge}


def stages(name: str, shape: Shape, gpus: Mapping[str, int], plan: Plan, lora_rank: int = 16) -> str:
    """Memory of one GPU in each stage of a preset, as Markdown; `gpus`: how many a stage is on."""
    layers = _BF16 * (2 * shape.layer_parameters + 2 * shape.vocabulary * shape.hidden)
    trunk = shape.activation_bytes - shape.vocabulary * (2 * _BF16 + _FP32)  # TRL works the loss out in pieces
    lines = [
        "| stage | GPUs | trained, sharded | held still | gathered layers | tokens at once | activations | in all |",
        "|---|---|---|---|---|---|---|---|",
    ]

    def add(stage: str, count: int, trained: float, still: float, tokens: int, activations: float) -> None:
        sizes = (trained * _MASTER / count, still, layers, activations)
        one, two, three, four, total = (f"{size / GB:.1f} GB" for size in (*sizes, sum(sizes)))
        lines.append(f"| {stage} | {count} | {one} | {two} | {three} | {tokens:,} | {four} | {total} |")

    for stage, count in gpus.items():
        part = preset(name, *stage.split("."))
        base = shape.parameters * _BF16
        if stage == "rl":
            tokens = part["micro_tokens"]
            # Logits of the sampled tokens: bfloat16, float32, and their gradient.
            logits = tokens * plan.generated / plan.tokens * shape.vocabulary * (_BF16 + 2 * _FP32)
            copy = base if name == "7b" else 0  # what samples is whole in each process, or it is vLLM's
            trained = shape.parameters + shape.critic_parameters
            add(stage, count, trained, base / count + copy, tokens, tokens * trunk + logits)
            continue
        tokens = part["context"] * part["batch"]
        add(stage, count, shape.parameters, 0.0, tokens, float(tokens * trunk))
        if stage == "sft":
            add("sft --lora", count, lora_parameters(shape, lora_rank), base / count, tokens, float(tokens * trunk))
    return "\n".join(lines)


def lora_parameters(shape: Shape, rank: int) -> int:
    """Of adapters on all linear layers but the head."""
    query, kv = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    h, i = shape.hidden, shape.intermediate
    ends = [(h, query), (h, kv), (h, kv), (query, h), (h, i), (h, i), (i, h)]
    return shape.layers * rank * sum(a + b for a, b in ends)


def table(name: str, plan: Plan) -> str:
    """The estimate as Markdown."""
    shape = MODELS[name]
    held, time = memory(shape, plan), seconds(shape, plan)
    lines = [
        f"{name}: {shape.parameters / 1e9:.2f} billion parameters, critic {shape.critic_parameters / 1e9:.2f}; "
        f"{plan.gpus} GPUs of {plan.gpu_gb:g} GB; {plan.trajectories} trajectories of {plan.tokens:,} tokens a step.",
        "",
        "| memory of one GPU | GB |",
        "|---|---|",
        *(f"| {what} | {size / GB:.1f} |" for what, size in held.items()),
        "",
        "| rollout servers | |",
        "|---|---|",
        f"| KV cache of a token | {shape.kv_bytes / 1024:.0f} KiB |",
        f"| tokens in a server's cache | {cache_tokens(shape, plan):,} |",
        f"| trajectories in it at once | {cache_tokens(shape, plan) // plan.tokens} |",
        "",
        "| time of one step | s |",
        "|---|---|",
        *(f"| {what} | {value:.0f} |" for what, value in time.items()),
    ]
    faults = [
        f"DOES NOT FIT: {what}: {held[what] / GB:.0f} GB of {plan.gpu_gb:g}"
        for what in ("training, peak, what rests offloaded", "rollout, peak")
        if held[what] > plan.gpu_gb * GB
    ]
    if cache_tokens(shape, plan) < plan.row:
        faults.append(f"DOES NOT FIT: a server's cache holds less than a row of {plan.row:,} tokens")
    return "\n".join([*lines, *(["", *faults] if faults else [])])


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the table. 0 when it fits, 1 when it does not."""
    parser = argparse.ArgumentParser(
        prog="python -m train.scale", description=(__doc__ or "").splitlines()[0], allow_abbrev=False,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--model", choices=sorted(MODELS), default="qwen2.5-32b", help="whose shape")
    for one in fields(Plan):
        kind = type(one.default)
        parser.add_argument(
            f"--{one.name.replace('_', '-')}", type=kind if kind is int else float, default=one.default,
            help=one.metadata["help"],
        )  # fmt: skip
    parser.add_argument("--preset", choices=sorted(PRESET_GPUS), help="the stages of this preset instead")
    args = vars(parser.parse_args(argv))
    if chosen := args.pop("preset"):
        model, gpus = PRESET_GPUS[chosen]
        print(stages(chosen, MODELS[model], gpus, Plan()))
        return 0
    if args["gpus"] % args["tp"]:
        parser.error(f"--gpus {args['gpus']} is no multiple of --tp {args['tp']}")
    text = table(args.pop("model"), Plan(**args))
    print(text)
    return int("DOES NOT FIT" in text)


if __name__ == "__main__":
    sys.exit(main())
