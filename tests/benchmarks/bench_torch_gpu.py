"""The torch engine on one GPU, at random weights of a real architecture: its floor, and how near the card's ceiling.

    python -m tests.benchmarks.bench_torch_gpu [--shape 4b|8b|tiny] [--device cuda] [--dtype bfloat16] [--repeats 5]
        [--lone 30] [--criteria 26] [--words 11900] [--out raw.json]

The same ratios as `bench_torch_engine` (30 criteria on about 4,000 tokens), then a report of about 12,000 tokens with
26 criteria: verdicts a second, and tokens a second against what the card's own matrix product would allow, measured in
the same run. vLLM is not in it: `judger serve --engine vllm` and `judger bench` compare the two as services.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tests.benchmarks.bench_torch_engine import TARGETS, case_of
from tests.judger.engines.generative import tiny

# Qwen3-4B and Qwen3-8B by their published configs, but for the vocabulary: the tokenizer is made here, and only the
# label tokens' logits are read.
HEADS = {"num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128}
SHAPES: dict[str, dict[str, int]] = {
    "4b": {"hidden_size": 2560, "intermediate_size": 9728, "num_hidden_layers": 36, **HEADS},
    "8b": {"hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 36, **HEADS},
    "tiny": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3, **HEADS, "head_dim": 16},
}
RATIOS = [name for name in TARGETS if "vllm" not in name]


def make_models(shape: str, device: str, dtype: torch.dtype) -> tuple[Any, Any]:
    """(a TorchEngine, the library's own model): over the same random weights, made on the device."""
    from transformers import AutoModelForCausalLM, Qwen3Config

    from judger.engines.torch import TorchEngine
    from judger.engines.torch.load import prepare

    tokenizer = tiny.tokenizer()

    def make(where: str) -> Any:
        config = Qwen3Config(
            **SHAPES[shape], vocab_size=len(tokenizer), max_position_embeddings=40960, tie_word_embeddings=True,
        )  # fmt: skip
        with torch.device(where):
            return AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation="sdpa").eval()

    torch.manual_seed(0)
    plain, served = make(device), make("meta")
    served.load_state_dict(plain.state_dict(), assign=True)
    served.tie_weights()
    served.model.rotary_emb = plain.model.rotary_emb  # its buffers are in no state dict
    return TorchEngine(prepare(served, tokenizer, name=f"random-{shape}"), cache_bytes=4 * 2**30), plain


class Clock:
    """Seconds of work on a device, from an idle one to an idle one."""

    def __init__(self, device: str) -> None:
        self._wait = torch.cuda.synchronize if device.startswith("cuda") else lambda: None

    def __call__(self, work: Callable[[], object]) -> float:
        self._wait()
        since = time.perf_counter()
        work()
        self._wait()
        return time.perf_counter() - since


def matmul_ceiling(device: str, dtype: torch.dtype, clock: Clock, *, size: int) -> float:
    """Floating-point operations a second of one square matrix product, the best of ten."""
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    torch.mm(a, b)
    return 2 * size**3 / min(clock(lambda: torch.mm(a, b)) for _ in range(10))


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Raw seconds by name, and what the card is."""
    from judger.engines.base import VERDICT_TIER

    device, dtype = options.device, getattr(torch, options.dtype)
    clock = Clock(device)
    ceiling = matmul_ceiling(device, dtype, clock, size=8192 if device.startswith("cuda") else 512)
    engine, plain = make_models(options.shape, device, dtype)
    seed = 0

    def forward(ids: tuple[int, ...]) -> float:
        tokens = torch.tensor([ids], device=device)
        with torch.inference_mode():
            return clock(lambda: plain(input_ids=tokens, use_cache=False, logits_to_keep=1))

    def floor(count: int) -> float:
        draw = random.Random(seed)
        return forward(tuple(draw.randrange(plain.config.vocab_size) for _ in range(count)))

    def run(plan: Any) -> float:
        return clock(lambda: engine.run([plan]))

    def fresh(case: Any) -> Any:
        return engine.plan(case, VERDICT_TIER)

    samples: dict[str, list[float]] = {}
    warm_up = fresh(case_of(30, seed))
    run(warm_up), floor(warm_up.tokens)
    peaks = {}
    for _ in range(options.repeats):
        for count in (30, 10, 100):
            seed += 1
            plan, suffix = fresh(case_of(count, seed)), "" if count == 30 else f"_n{count}"
            _reset_peak(device)
            samples.setdefault(f"floor{suffix}", []).append(floor(plan.tokens))
            peaks[f"peak floor{suffix}"] = _peak(device)
            _reset_peak(device)
            samples.setdefault(f"cascade{suffix or '_cold'}", []).append(run(plan))
            peaks[f"peak cascade{suffix}"] = _peak(device)
            if count == 30:
                samples.setdefault("cascade_warm", []).append(run(plan))
    tree = plan.payload
    lone = [forward(tree.lone(number)) for number in range(options.lone)]
    samples["one_prompt_each"] = [sum(lone) / len(lone) * 30]
    long = []
    for _ in range(options.repeats):
        seed += 1
        case = dataclasses.replace(
            case_of(options.criteria, seed), report=f"Report {seed}. " + tiny.words(options.words, seed)
        )
        plan = fresh(case)
        long.append(run(plan))
    samples["long_cold"] = long
    weights = sum(parameter.numel() for name, parameter in plain.named_parameters() if "embed" not in name)
    return {
        "device": torch.cuda.get_device_name() if device.startswith("cuda") else "cpu",
        "shape": options.shape, "dtype": options.dtype, "torch": torch.__version__, "parameters": weights,
        "samples": samples, "memory_bytes": peaks, "ceiling_flops": ceiling,
        "long": {"tokens": plan.tokens, "criteria": options.criteria},
    }  # fmt: skip


def _reset_peak(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()


def _peak(device: str) -> int | None:
    return torch.cuda.max_memory_allocated() if device.startswith("cuda") else None


def show(result: dict[str, Any]) -> None:
    """The figures, for people."""
    medians = {name: statistics.median(values) for name, values in result["samples"].items()}
    print(f"{result['device']}, {result['shape']} ({result['parameters'] / 1e9:.2f}G weights), {result['dtype']}")
    for name, values in result["samples"].items():
        print(f"  {name:18}{medians[name]:9.4f} s   ({min(values):.4f} to {max(values):.4f})")
    figures = medians | {name: peak for name, peak in result["memory_bytes"].items() if peak}
    for name in RATIOS:
        over, under = name.split(" / ")
        if over in figures and under in figures:
            sign, target = TARGETS[name]
            print(f"  {name:34}{figures[over] / figures[under]:7.2f}   {f'target {sign} {target}' if sign else ''}")
    seconds, long = medians["long_cold"], result["long"]
    rate = 2 * result["parameters"] * long["tokens"] / seconds / result["ceiling_flops"]
    print(
        f"  {long['tokens']} tokens, {long['criteria']} criteria: {long['criteria'] / seconds:.1f} verdicts/s, "
        f"{long['tokens'] / seconds:,.0f} tokens/s, {rate:.0%} of the matrix product's rate"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="The torch engine on one GPU")
    parser.add_argument("--shape", choices=sorted(SHAPES), default="4b")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--dtype", choices=["bfloat16", "float16", "float32"], default="bfloat16")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--lone", type=int, default=30, help="how many of the 30 lone prompts are run")
    parser.add_argument("--criteria", type=int, default=26, help="of the long report")
    parser.add_argument("--words", type=int, default=11_900, help="of the long report")
    parser.add_argument("--out", type=Path, help="raw figures, as JSON")
    options = parser.parse_args()
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        parser.error("no CUDA device; --device cpu --shape tiny --dtype float32 shows that the benchmark runs")
    result = measure(options)
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    show(result)


if __name__ == "__main__":
    main()
