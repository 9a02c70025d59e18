"""The torch engine against its physical floor, one prompt per criterion, and vLLM, with the same weights in one run.

    python -m tests.benchmarks.bench_torch_engine [--repeats 5] [--threads 2] [--lone 30] [--small] [--cpu-time]
        [--vllm-python PATH] [--json]

A report of about 4,000 tokens, criteria of about 20, a random-weight Qwen3 of 22 million parameters, float32, as many
threads for everyone. Cold means a report not seen before, after a warm-up on another; warm, a second request on the
same report. The floor is one plain causal forward over as many tokens as prefix and branches together, with one logit.
Times are medians; those that are compared are taken in turns. Memory is each process's peak resident set.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

REPORT_WORDS = 3950
CRITERION_WORDS = 19
# As wide for its attention as a judge of a few billion parameters: most of a forward of this length is
# matrix products with the weights. Head size 64, because vLLM's CPU attention takes no odd ones.
SHAPE = {
    "vocab_size": 1280,
    "hidden_size": 512,
    "intermediate_size": 2048,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "max_position_embeddings": 16384,
    "initializer_range": 0.04,
}
SMALL = SHAPE | {"hidden_size": 256, "intermediate_size": 864}
"""5.8 million parameters: here a third of a forward's work, and not an eighth, is attention."""
TARGETS = {
    "cascade_cold / floor": ("<=", 1.1),
    "one_prompt_each / cascade_cold": (">=", 18.0),
    "vllm_cold / cascade_cold": (">=", 3.5),
    "vllm_warm / cascade_warm": (">=", 3.0),
    "cascade_n100 / cascade_n10": ("<=", 1.8),
    "floor_n100 / floor_n10": ("", 0.0),
    "peak cascade / peak floor": ("<=", 1.3),
}


def case_of(num_criteria: int, seed: int) -> Any:
    """A report of its own; criteria that are all different, so that nobody finds one of them cached."""
    from judger.types import Case, Criterion
    from tests.judger.engines.generative import tiny

    def criterion(number: int) -> str:
        return " ".join(random.Random(number).choices(tiny.WORDS, k=CRITERION_WORDS))

    return Case(
        id=f"bench-{seed}",
        query="What does wind cost?",
        report=f"Report {seed}. " + tiny.words(REPORT_WORDS, seed),
        criteria=tuple(
            Criterion(id=str(i), text=criterion(i), weight=-1.0 if i % 4 == 3 else 1.0) for i in range(num_criteria)
        ),
    )


def clock(work: Callable[[], object], now: Callable[[], float] = time.perf_counter) -> float:
    since = now()
    work()
    return now() - since


def peak_mib() -> float:
    """The process's own high-water mark; getrusage would count what the parent held before exec."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmHWM in /proc/self/status")


class Bench:
    """One process's engine and plain model over the same weights."""

    def __init__(self, checkpoint: str, *, plain: bool, cascade: bool, cpu_time: bool = False) -> None:
        import torch
        from transformers import AutoModelForCausalLM

        from judger.engines.torch import TorchEngine

        self.seed = 0
        self.torch = torch
        self.now = time.process_time if cpu_time else time.perf_counter
        if plain:
            self.plain = AutoModelForCausalLM.from_pretrained(
                checkpoint, dtype=torch.float32, attn_implementation="sdpa", use_safetensors=True
            ).eval()
        if cascade:
            self.engine = TorchEngine.load(checkpoint, device="cpu", dtype="float32")

    def plan(self, num_criteria: int, *, seed: int | None = None) -> Any:
        from judger.engines.base import VERDICT_TIER

        self.seed += 1
        return self.engine.plan(case_of(num_criteria, self.seed if seed is None else seed), VERDICT_TIER)

    def forward(self, ids: tuple[int, ...]) -> None:
        with self.torch.inference_mode():
            self.plain(input_ids=self.torch.tensor([ids]), use_cache=False, logits_to_keep=1)

    def floor(self, num_tokens: int) -> float:
        ids = tuple((7 * i + self.seed) % 1000 + 2 for i in range(num_tokens))
        return clock(lambda: self.forward(ids), self.now)

    def cascade(self, plan: Any) -> float:
        return clock(lambda: self.engine.run([plan]), self.now)


def worker_times(checkpoint: str, repeats: int, lone: int, *, cpu_time: bool = False) -> dict[str, Any]:
    """Floor and cascade in turns; then one prompt per criterion, `lone` of 30 measured for all of them, once."""
    bench = Bench(checkpoint, plain=True, cascade=True, cpu_time=cpu_time)
    warm_up = bench.plan(30)
    bench.cascade(warm_up)
    bench.floor(warm_up.tokens)
    samples: dict[str, list[float]] = {}

    def add(name: str, seconds: float) -> None:
        samples.setdefault(name, []).append(seconds)

    for _ in range(repeats):
        plan = bench.plan(30)
        add("floor", bench.floor(plan.tokens))
        add("cascade_cold", bench.cascade(plan))
        add("cascade_warm", bench.cascade(plan))
        for number in (10, 100):
            plan = bench.plan(number)
            add(f"cascade_n{number}", bench.cascade(plan))
            add(f"floor_n{number}", bench.floor(plan.tokens))
    plan = bench.plan(30)
    tree = plan.payload
    seconds = sum(clock(lambda i=i: bench.forward(tree.lone(i)), bench.now) for i in range(lone))  # type: ignore[misc]
    add("one_prompt_each", seconds / lone * 30)
    return {
        "samples": samples,
        "prefix_tokens": len(tree.shared) + len(tree.report),
        "all_tokens": plan.tokens,
        "branch_tokens": statistics.median(len(ids) for _, ids in tree.branches),
        "parameters": sum(parameter.numel() for parameter in bench.plain.parameters()),
    }


def worker_memory_floor(checkpoint: str, repeats: int, tokens: int) -> dict[str, Any]:
    bench = Bench(checkpoint, plain=True, cascade=False)
    loaded = peak_mib()
    bench.floor(tokens)
    return {"loaded": loaded, "peak": peak_mib()}


def worker_memory_cascade(checkpoint: str, repeats: int, tokens: int) -> dict[str, Any]:
    bench = Bench(checkpoint, plain=False, cascade=True)
    loaded = peak_mib()
    bench.cascade(bench.plan(30))
    return {"loaded": loaded, "peak": peak_mib()}


def worker_vllm(checkpoint: str, repeats: int, tokens: int) -> dict[str, Any]:
    """The same requests through the vLLM engine at its best here: float32, as many threads, prefix caching."""
    from judger.engines.base import VERDICT_TIER
    from judger.engines.vllm import VllmEngine

    engine = VllmEngine(checkpoint, dtype="float32", engine_args={"enforce_eager": True, "disable_log_stats": True})
    cold, warm = [], []
    with asyncio.Runner() as runner:

        def judge(seed: int) -> float:
            return clock(lambda: runner.run(engine.judge(case_of(30, seed), VERDICT_TIER)))

        judge(0)
        for seed in range(1, repeats + 1):
            cold.append(judge(seed))
            warm.append(judge(seed))
        engine.close()
    return {"samples": {"vllm_cold": cold, "vllm_warm": warm}}


def worker_drift(checkpoint: str, repeats: int, companies: int) -> dict[str, Any]:
    """How far a report's probabilities move in so many batch companies, and how many of its labels change.

    With a model of its own, small enough for bfloat16 on a CPU, which has no fast kernels for it.
    """
    import torch

    from judger.engines.base import VERDICT_TIER
    from judger.engines.torch import TorchEngine
    from judger.engines.torch.load import prepare
    from judger.verdict import score
    from tests.judger.engines.generative import tiny

    found = {}
    for name, dtype, deterministic in (
        ("float32", torch.float32, False),
        ("bfloat16", torch.bfloat16, False),
        ("bfloat16 deterministic", torch.bfloat16, True),
    ):
        model = prepare(tiny.model("qwen3").to(dtype), tiny.tokenizer(), name="tiny")
        engine = TorchEngine(model, cache_bytes=0, deterministic=deterministic)
        case = tiny.case(5, seed=100, report_words=200)
        plan = engine.plan(case, VERDICT_TIER)

        def read(batch: list[Any], at: int, engine: TorchEngine = engine) -> list[Any]:
            return [outcome.result for outcome in engine.run(batch)[at]]

        first = read([plan], 0)
        drift, changed = 0.0, 0
        for company in range(companies):
            others = [
                engine.plan(tiny.case(1 + i, seed=company + i, report_words=20 * i + 10), VERDICT_TIER)
                for i in range(1 + company % 3)
            ]
            at = company % (len(others) + 1)
            for criterion, got, want in zip(
                case.criteria, read([*others[:at], plan, *others[at:]], at), first, strict=True
            ):
                pairs = ((got.p_not, want.p_not), (got.p_partial, want.p_partial), (got.p_full, want.p_full))
                drift = max(drift, *(abs(a - b) for a, b in pairs))
                labels = {score(result, negative=criterion.is_negative).label for result in (got, want)}
                changed += len(labels) > 1
        found[name] = {"companies": companies, "drift": drift, "labels": 5 * companies, "changed": changed}
    return {"drift": found}


WORKERS = {
    "drift": worker_drift,
    "times": worker_times,
    "cpu-times": partial(worker_times, cpu_time=True),
    "memory-floor": worker_memory_floor,
    "memory-cascade": worker_memory_cascade,
    "vllm": worker_vllm,
}


def spawn(
    name: str, checkpoint: str, repeats: int, threads: int, *, number: int = 0, python: str = sys.executable
) -> dict[str, Any]:
    """Runs a worker in a process of its own; its last line of output is its result."""
    command = [python, "-m", "tests.benchmarks.bench_torch_engine", "--worker", name, "--checkpoint", checkpoint]
    cores = ",".join(map(str, sorted(os.sched_getaffinity(0))[-threads:]))
    bound = {"VLLM_CPU_KVCACHE_SPACE": "2", "VLLM_CPU_OMP_THREADS_BIND": cores} if name == "vllm" else {}
    done = subprocess.run(
        [*command, "--repeats", str(repeats), "--number", str(number)],
        env={**os.environ, "OMP_NUM_THREADS": str(threads), **bound},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if name == "vllm" else None,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{(done.stderr or '')[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def checkpoint_in(folder: Path, shape: dict[str, Any]) -> str:
    """A random model whose tokenizer knows the marks of a thought as single tokens, as those of thinking models do."""
    from transformers import AutoTokenizer

    from tests.judger.engines.generative import tiny

    path = tiny.save(folder, "qwen3", **shape)
    tokenizer = AutoTokenizer.from_pretrained(path)
    tokenizer.add_tokens(["<think>", "</think>"])
    tokenizer.save_pretrained(path)
    return path


def measure(
    repeats: int,
    threads: int,
    lone: int,
    companies: int,
    vllm_python: Path | None,
    shape: dict[str, Any],
    *,
    cpu_time: bool,
) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = checkpoint_in(Path(folder), shape)
        times = spawn("cpu-times" if cpu_time else "times", checkpoint, repeats, threads, number=lone)
        floor = spawn("memory-floor", checkpoint, repeats, threads, number=times["all_tokens"])
        cascade = spawn("memory-cascade", checkpoint, repeats, threads)
        samples = times.pop("samples")
        drift = {} if companies == 0 else spawn("drift", checkpoint, repeats, threads, number=companies)
        if vllm_python is not None and vllm_python.exists() and not cpu_time:
            samples |= spawn("vllm", checkpoint, repeats, threads, python=str(vllm_python))["samples"]
    figures = {name: statistics.median(values) for name, values in samples.items()}
    figures |= {"peak floor": floor["peak"], "peak cascade": cascade["peak"]}
    ratios = {}
    for name in TARGETS:
        over, under = name.split(" / ")
        if over in figures and under in figures:
            ratios[name] = figures[over] / figures[under]
    return {
        **times,
        **drift,
        "threads": threads,
        "samples": samples,
        "memory_mib": {"floor": floor, "cascade": cascade},
        "ratios": ratios,
    }


def show(result: dict[str, Any]) -> None:
    print(f"{result['parameters'] / 1e6:.1f}M parameters, prefix {result['prefix_tokens']} tokens, ", end="")
    print(
        f"{result['all_tokens']} with 30 branches of {result['branch_tokens']:.0f}, {result['threads']} threads; "
        "seconds, median (lowest to highest)"
    )
    for name, values in result["samples"].items():
        print(f"  {name:18}{statistics.median(values):8.3f}   ({min(values):.3f} to {max(values):.3f})")
    for name, memory in result["memory_mib"].items():
        print(f"  peak {name:13}{memory['peak']:8.0f} MiB ({memory['loaded']:.0f} after loading)")
    for name, found in result.get("drift", {}).items():
        print(f"  {name:24} moves by at most {found['drift']:.2g} in {found['companies']} batch companies, ", end="")
        print(f"{found['changed']} of {found['labels']} labels change")
    for name, (sign, target) in TARGETS.items():
        if name not in result["ratios"]:
            print(f"  {name:34} not measured: no vLLM environment (make test-vllm builds it)")
            continue
        ratio = result["ratios"][name]
        if not sign:
            print(f"  {name:34}{ratio:7.2f}   the plain forward's own, over as many tokens")
            continue
        met = ratio <= target if sign == "<=" else ratio >= target
        print(f"  {name:34}{ratio:7.2f}   target {sign} {target}: {'met' if met else 'MISSED'}")


def main() -> None:
    parser = argparse.ArgumentParser(description="The torch engine against floor, lone prompts and vLLM")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument(
        "--lone", type=int, default=30, help="how many of the 30 lone prompts are run, and counted for all of them"
    )
    parser.add_argument("--companies", type=int, default=50, help="batch companies for the drift; 0: not measured")
    parser.add_argument("--vllm-python", type=Path, default=Path(".venv-vllm/bin/python"))
    parser.add_argument("--small", action="store_true", help="a model of 5.8 million parameters instead")
    parser.add_argument(
        "--cpu-time", action="store_true", help="CPU time of one thread: for a machine that others use; without vLLM"
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--worker", choices=sorted(WORKERS), help=argparse.SUPPRESS)
    parser.add_argument("--checkpoint", help=argparse.SUPPRESS)
    parser.add_argument("--number", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        print(json.dumps(WORKERS[arguments.worker](arguments.checkpoint, arguments.repeats, arguments.number)))
        return
    shape = SMALL if arguments.small else SHAPE
    threads = 1 if arguments.cpu_time else arguments.threads
    result = measure(
        arguments.repeats,
        threads,
        arguments.lone,
        arguments.companies,
        arguments.vllm_python,
        shape,
        cpu_time=arguments.cpu_time,
    )
    print(json.dumps(result)) if arguments.json else show(result)


if __name__ == "__main__":
    main()
