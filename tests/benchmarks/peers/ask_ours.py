"""Our judge, as a client of our server sees it: python -m tests.benchmarks.peers.ask_ours, by `ask_peer`'s protocol."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import AsyncExitStack
from typing import Any

from judger.cli.options import with_user_files
from judger.client import Client, connect
from judger.config import ServeConfig
from judger.errors import JudgerError
from judger.server.process import running
from judger.types import Score

SETTINGS: dict[str, dict[str, Any]] = {
    "ours decisions": {"engine": "decisions", "api": "systemone"},
    "ours openai": {"engine": "openai"},
    "ours torch": {"engine": "torch", "dtype": "float32", "device": "cpu"},
    "ours vllm": {"engine": "vllm", "dtype": "float32"},
}


def config_of(job: dict[str, Any]) -> ServeConfig:
    """A server without a cache of verdicts: what is asked again is judged again."""
    settings = SETTINGS[job["system"].partition(",")[0]]
    if settings["engine"] in ("decisions", "openai"):
        settings = settings | {"model": job["model"], "base_url": job["url"]}
    else:
        settings = settings | {"model": job["folder"]}
    # A random model says no label: what little of it lies there is read all the same.
    # And with the user's key, so that two runs ask the same.
    return with_user_files(ServeConfig(port=0, grace=1.0, cache_memory_mb=0, min_label_mass=0.0, **settings))


def engine_of(job: dict[str, Any]) -> Any:
    """vLLM without the compiling of graphs, as the endpoint has it; any other as the server makes it."""
    if job["system"] != "ours vllm":
        return None
    from judger.engines.vllm import VllmEngine

    quick = {"enforce_eager": True, "disable_log_stats": True}
    return VllmEngine(job["folder"], dtype="float32", max_prompt_tokens=job["longest"], engine_args=quick)


async def asked(client: Client, case: dict[str, Any], seconds: float | None) -> dict[str, Any]:
    criteria = [{"id": f"c{i}", "text": text} for i, text in enumerate(case["criteria"])]
    found = await client.judge(query=case["query"], report=case["report"], criteria=criteria, timeout=seconds)
    scores = [verdict.result for verdict in found.verdicts]
    reasons = [f"{one.reason}: {one.detail}" for one in scores if not isinstance(one, Score)]
    return {
        "verdicts": [one.satisfied if isinstance(one, Score) else None for one in scores],
        "failed": [not isinstance(one, Score) for one in scores],
        "value": found.reward.value,
        "error": reasons[0] if reasons else None,
        "tokens": [found.usage.prompt_tokens, found.usage.shared_tokens],
    }


async def main() -> None:
    job = json.loads(sys.stdin.readline())
    permits = asyncio.Semaphore(job["at_once"])

    async def timed(client: Client, case: dict[str, Any], number: int) -> None:
        async with permits:
            began = time.monotonic()
            try:
                answer = await asked(client, case, job.get("timeout"))
            except JudgerError as error:
                count = len(case["criteria"])
                answer = {"verdicts": [None] * count, "failed": [True] * count, "value": None}
                answer["error"] = f"{type(error).__name__}: {error}"[:300]
            answer |= {"id": case["id"], "round": number, "seconds": time.monotonic() - began}
        print(json.dumps(answer), flush=True)

    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(running(config_of(job), engine_of(job)))
        client = await stack.enter_async_context(connect(server.address))
        if job["warm_up"]:
            try:
                await asked(client, job["warm_up"], None)
            except JudgerError as error:  # what it is warm for will say so again
                print(f"the warm-up failed: {error}", file=sys.stderr)
        print(json.dumps({"ready": True}), flush=True)
        sys.stdin.readline()
        for number in range(job["rounds"]):
            await asyncio.gather(*(timed(client, case, number) for case in job["cases"]))
            print(json.dumps({"round": number}), flush=True)
            sys.stdin.readline()


if __name__ == "__main__":
    asyncio.run(main())
