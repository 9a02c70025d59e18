"""python -m tests.benchmarks.peers [--model FOLDER] [--words 750] [--criteria 30] [--reports 3] [--only NAME ...] [-v]

Without a model, a random Qwen3 of 22 million parameters, of which vLLM's /v1/systemone reads decisions; with one, such
as .llm/model, a real model that writes. Cold: a report that nobody has asked about; warm: the same once more, with no
cache of verdicts or replies anywhere. `--faults` puts the breaking proxy before the endpoint instead.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.benchmarks.bench_torch_engine import SHAPE
from tests.benchmarks.peers.cases import cases
from tests.benchmarks.peers.faults import Plan, breaking
from tests.benchmarks.peers.machine import forget_peaks, peak_mib, tokens_of
from tests.benchmarks.peers.systems import DECIDERS, INSIDE, WRITERS, Pythons, working
from tests.vllm_engine.served import Served, served

LONGEST = 8192
MARKS = "ABCDEFGHIJKL"


@contextmanager
def endpoint(args: argparse.Namespace) -> Iterator[tuple[Served, Path]]:
    """vLLM's server with the model, and the model's folder; its log lies beside neither."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if args.model is None:
            from tests.judger.engines.generative import tiny

            tiny.save(folder, is_qwen=True, **SHAPE)
        else:
            for file in args.model.resolve().iterdir():
                (folder / file.name).symlink_to(file)
        cores = ",".join(map(str, sorted(os.sched_getaffinity(0))[-args.threads :]))
        bound = {"OMP_NUM_THREADS": str(args.threads), "VLLM_CPU_OMP_THREADS_BIND": cores}
        more = ("--max-model-len", str(LONGEST))
        with served(folder, *more, python=str(args.vllm_python), settings=bound) as server:
            yield server, folder


def job_of(args: argparse.Namespace, system: str, url: str, folder: Path, **more: Any) -> dict[str, Any]:
    job = {"system": system, "url": url, "model": "tiny", "folder": str(folder), "longest": LONGEST, "at_once": 1}
    return job | {"max_tokens": args.max_tokens, "rounds": 2, "warm_up": None, "patience": args.patience} | more


def speed(args: argparse.Namespace, systems: list[str]) -> list[dict[str, Any]]:
    """Each system in turn: its reports cold, then warm. Nobody finds another's reports cached."""
    pythons = Pythons(args.peers_python, args.vllm_python)
    rows = []
    asked = {"words": args.words, "criteria": args.criteria}
    with tempfile.TemporaryDirectory() as name:
        inside = [system for system in systems if system in INSIDE]
        outside = [system for system in systems if system not in INSIDE]
        with endpoint(args) as (server, folder):
            for place, system in enumerate(outside):
                made = cases(args.reports, mark=MARKS[place], **asked)
                warm_up = cases(1, mark=f"{MARKS[place]}-", **asked | {"criteria": 1})[0]
                job = job_of(args, system, server.url, folder, cases=made, warm_up=warm_up)
                with working(pythons, job, args.threads) as worker:
                    worker.forget_peak()
                    forget_peaks(server.process.pid)
                    row: dict[str, Any] = {"system": system}
                    for kind in ("cold", "warm"):
                        before = tokens_of(server.url)
                        row[kind] = worker.round()
                        after = tokens_of(server.url)
                        row[f"{kind} tokens"] = {key: after[key] - before[key] for key in after}
                    row["peak"] = {"client": worker.peak_mib(), "endpoint": peak_mib(server.process.pid)}
                rows.append(told(row, args))
            for file in folder.iterdir():
                if not file.name.startswith("log-"):
                    (Path(name) / file.name).write_bytes(file.read_bytes())
        for place, system in enumerate(inside, len(outside)):
            made = cases(args.reports, mark=MARKS[place], **asked)
            warm_up = cases(1, mark=f"{MARKS[place]}-", **asked | {"criteria": 1})[0]
            job = job_of(args, system, "", Path(name), cases=made, warm_up=warm_up)
            with working(pythons, job, args.threads) as worker:
                worker.forget_peak()
                row = {"system": system, "cold": worker.round(), "warm": worker.round()}
                row["peak"] = {"client": worker.peak_mib(), "endpoint": 0.0}
            rows.append(told(row, args))
    return rows


def told(row: dict[str, Any], args: argparse.Namespace) -> dict[str, Any]:
    """The row, after one line of it."""
    parts = [f"{row['system']:28}"]
    for kind in ("cold", "warm"):
        seconds = [answer["seconds"] for answer in row[kind]]
        parts.append(f"{kind} {statistics.median(seconds):7.2f} s ({min(seconds):.2f}-{max(seconds):.2f})")
        if f"{kind} tokens" in row:
            tokens = {key: value / args.reports for key, value in row[f"{kind} tokens"].items()}
            parts.append(
                f"{tokens['prompt_tokens'] - tokens['prompt_tokens_cached']:,.0f} prefilled, "
                f"{tokens['prompt_tokens_cached']:,.0f} cached, {tokens['generation_tokens']:,.0f} written"
            )
        elif "tokens" in row[kind][0]:
            sent, shared = (statistics.mean(answer["tokens"][i] for answer in row[kind]) for i in (0, 1))
            if row["system"] == "ours torch":  # its prefix is computed once, and not at all where it is kept
                sent, shared = sent - shared * (1 - (kind == "cold") / args.criteria), 0
            parts.append(f"{sent - shared:,.0f} prefilled, {shared:,.0f} cached")
    lost = sum(verdict is None for kind in ("cold", "warm") for answer in row[kind] for verdict in answer["verdicts"])
    parts.append(f"no verdict {lost} of {2 * args.reports * args.criteria}")
    parts.append(f"peak {row['peak']['client']:,.0f} + {row['peak']['endpoint']:,.0f} MiB")
    print("; ".join(parts), flush=True)
    for error in {answer["error"] for kind in ("cold", "warm") for answer in row[kind] if answer["error"]}:
        print(f"    {error[:160]}")
    return row


async def broken(args: argparse.Namespace, systems: list[str]) -> list[dict[str, Any]]:
    """Each system once by the sound endpoint and once by the broken one: what its failures became."""
    pythons = Pythons(args.peers_python, args.vllm_python)
    made = cases(args.reports, words=args.words, criteria=args.criteria)
    rows = []
    with endpoint(args) as (server, folder):
        for system in systems:
            more = {"cases": made, "at_once": args.at_once, "rounds": 1, "timeout": args.timeout, "patience": None}
            quiet = await asyncio.to_thread(once, pythons, job_of(args, system, server.url, folder, **more), args)
            async with breaking(server.url, Plan(stall=args.stall)) as proxy:
                job = job_of(args, system, proxy.url, folder, **more)
                hurt = await asyncio.to_thread(once, pythons, job, args)
            row = compared(system, quiet, hurt) | {"faults": dict(proxy.counts)}
            print(json.dumps(row), flush=True)
            rows.append(row)
    return rows


def once(pythons: Pythons, job: dict[str, Any], args: argparse.Namespace) -> list[dict[str, Any]]:
    with working(pythons, job, args.threads) as worker:
        return worker.round()


def compared(system: str, quiet: list[dict[str, Any]], hurt: list[dict[str, Any]]) -> dict[str, Any]:
    """What became of the faults.

    A number of a failure: a report that has a value though a criterion of it failed, or a verdict that the library
    itself lays to a failed call. Lost: a criterion that the quiet run had a verdict for and this one has none.
    """
    by_id = {answer["id"]: answer for answer in quiet}
    pairs = [
        (a, b, failed)
        for answer in hurt
        for a, b, failed in zip(by_id[answer["id"]]["verdicts"], answer["verdicts"], answer["failed"], strict=True)
    ]
    seconds = [answer["seconds"] for answer in hurt]
    return {
        "system": system,
        "reports": len(hurt),
        "criteria": len(pairs),
        "values of failures": sum(answer["value"] is not None and any(answer["failed"]) for answer in hurt),
        "verdicts of failures": sum(b is not None and failed for _, b, failed in pairs),
        "lost": sum(a is not None and b is None for a, b, _ in pairs),
        "other than quiet": sum(None not in (a, b) and a != b for a, b, _ in pairs),
        "reports without a value": sum(answer["value"] is None for answer in hurt),
        "without one in quiet": sum(answer["value"] is None for answer in quiet),
        "longest": round(max(seconds), 1),
        "longest in quiet": round(max(answer["seconds"] for answer in quiet), 1),
        "errors": sorted({str(answer["error"])[:120] for answer in hurt if answer["error"]})[:3],
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.peers", description=__doc__.splitlines()[2])
    parser.add_argument("--model", type=Path, help="a real model; default: a random one that decisions are read of")
    parser.add_argument(
        "--words", type=int, default=750, help="of a report; 750 are about 4,000 tokens of the random model"
    )
    parser.add_argument("--criteria", type=int, default=30)
    parser.add_argument("--reports", type=int, default=3)
    parser.add_argument("--max-tokens", type=int, default=512, help="of a written judgement")
    parser.add_argument(
        "--patience", type=float, default=600.0, help="seconds for one request, where a library asks for it"
    )
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--only", nargs="+", metavar="NAME", help="some of the systems")
    parser.add_argument("--faults", action="store_true", help="what faults become, not how fast it is")
    parser.add_argument("--at-once", type=int, default=4, help="reports at a time, with --faults")
    parser.add_argument("--stall", type=float, default=30.0, help="seconds, with --faults")
    parser.add_argument("--timeout", type=float, help="our deadline for a report, with --faults; default: the client's")
    parser.add_argument("--vllm-python", type=Path, default=Path(".venv-vllm/bin/python"))
    parser.add_argument("--peers-python", type=Path, default=Path(".venv-peers/bin/python"))
    parser.add_argument("--out", type=Path, help="all that was seen, as JSON")
    parser.add_argument("-v", action="store_true", help="with what the systems say")
    args = parser.parse_args()
    known = [*(DECIDERS if args.model is None else WRITERS), *(() if args.faults else INSIDE)]
    systems = args.only or known
    if unknown := set(systems) - set(known):
        parser.error(f"no system here: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    print(f"{args.words} words, {args.criteria} criteria, {args.reports} reports, {args.threads} threads", flush=True)
    rows = asyncio.run(broken(args, systems)) if args.faults else speed(args, systems)
    if args.out is not None:
        args.out.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
