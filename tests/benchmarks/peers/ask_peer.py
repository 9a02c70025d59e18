"""A peer judges cases. Runs in an environment of its own, with nothing of ours in it (`make_venv.sh`).

The first line of standard input is the job: {"system", "url", "model", "warm_up", "cases", "rounds", "at_once",
"max_tokens", "patience"}, the last in seconds for a request, null for the library's own. Any other line starts the next
round. Out comes {"ready": true}, after each round {"round": N}, and a line for each report: {"id", "round", "seconds",
"verdicts": [true, false or null], "failed": [whether the judge failed there], "value", "error"}. A verdict is null
where the library has none; `value` is the report's number.
"""

import asyncio
import functools
import json
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else its import asks the net for prices
RUBRIC_ANSWERS = ("no", "yes")


@functools.cache
def grader_of(system, url, model, max_tokens, patience):
    """CriterionGrader as it comes: a call per criterion, one for all, or a decision model's one request."""
    from autorubric import DecisionModelConfig, LLMConfig
    from autorubric.graders import CriterionGrader

    more = {"api_key": "none"} | ({"timeout": patience} if patience else {})
    if system == "autorubric decision":  # its path begins with a /v1 of its own
        config = DecisionModelConfig(model=model, api_base=url.removesuffix("/v1"), **more)
        return CriterionGrader(judge_model_config=config)
    config = LLMConfig(model=f"hosted_vllm/{model}", api_base=url, temperature=0.0, max_tokens=max_tokens, **more)
    calls = "per_item" if system == "autorubric per item" else "per_criterion"
    return CriterionGrader(judge_model_config=config, llm_calls=calls)


async def autorubric(job, case):
    from autorubric import Criterion, CriterionVerdict, Rubric

    grader = grader_of(*(job[name] for name in ("system", "url", "model", "max_tokens", "patience")))
    rubric = Rubric([Criterion(weight=1.0, requirement=text, name=f"c{i}") for i, text in enumerate(case["criteria"])])
    report = await rubric.grade(to_grade=case["report"], grader=grader, query=case["query"])
    known = {CriterionVerdict.MET: True, CriterionVerdict.UNMET: False}
    found = report.report or []
    return {
        "verdicts": [known.get(one.final_verdict) for one in found],
        "failed": [one.error is not None for one in found],
        "value": report.score,
        "error": report.error or next((one.error for one in found if one.error), None),
    }


def trace_of(case):
    import verifiers.v1 as vf
    from verifiers.v1.trace import AgentInfo, Trace, TraceTask

    data = vf.TaskData(prompt=case["query"])
    return data, Trace.model_construct(
        task=TraceTask(type="Task", data=data), agent=AgentInfo.model_construct(), rewards={}, metrics={}, info={},
        extra_usage=[], root_reply=case["report"], nodes=[],
    )  # fmt: skip


async def verifiers_rubric(job, case):
    """Its rubric judge; `structured` asks for JSON by a schema, which it leaves off as it comes."""
    from verifiers.v1.judges.rubric import RubricJudge, RubricJudgeConfig

    data, trace = trace_of(case)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rubric.json"
        rubric = [{"name": f"c{i}", "text": text} for i, text in enumerate(case["criteria"])]
        path.write_text(json.dumps(rubric))
        config = RubricJudgeConfig(
            path=path,
            base_url=job["url"],
            api_key_var="PEERS_KEY",
            model=job["model"],
            view="last_reply",
            structured_output=job["system"] != "verifiers rubric, plain",
            max_criteria=1 if job["system"] == "verifiers rubric, one each" else None,
            sampling={"temperature": 0.0, "max_tokens": job["max_tokens"]},
        )
        judge = RubricJudge(config)
        value = await judge.score(data, trace)
    scores = [trace.metrics[f"{judge.reward_name}/c{i}"] for i in range(len(rubric))]
    return {"verdicts": [score == 1.0 for score in scores], "failed": [False] * len(scores), "value": value}


async def verifiers_decision(job, case):
    """Its decision judge grades one thing: a judge for each criterion, as a task would plug them."""
    from verifiers.v1.judges.decision import DecisionJudge, DecisionJudgeConfig

    data, trace = trace_of(case)

    async def one(text):
        config = DecisionJudgeConfig(
            base_url=f"{job['url']}/systemone",
            api_key_var="PEERS_KEY",
            model=job["model"],
            levels=["not satisfied", "satisfied"],
        )
        judge = DecisionJudge(config)
        judge.prompt = text
        return await judge.score(data, trace)

    scores = await asyncio.gather(*map(one, case["criteria"]))  # the first failure is the report's
    return {
        "verdicts": [score > 0.5 for score in scores],
        "failed": [False] * len(scores),
        "value": sum(scores) / len(scores),
    }


async def plain_system_one(job, case):
    """The endpoint itself, by one request and no retries."""
    import httpx

    questions = {f"c{i}": {"type": "noul", "instructions": text} for i, text in enumerate(case["criteria"])}
    body = {"model": job["model"], "state": case["report"], "instructions": case["query"], "questions": questions}
    async with httpx.AsyncClient(timeout=600) as client:
        reply = await client.post(f"{job['url']}/systemone", json=body)
        answers = reply.raise_for_status().json()["answers"]
    shares = [answers[f"c{i}"]["noul"] for i in range(len(case["criteria"]))]
    verdicts = [share > 0.5 for share in shares]
    return {"verdicts": verdicts, "failed": [False] * len(verdicts), "value": sum(verdicts) / len(verdicts)}


async def judge(job, case):
    system = job["system"]
    if system.startswith("autorubric"):
        return await autorubric(job, case)
    if system.startswith("verifiers rubric"):
        return await verifiers_rubric(job, case)
    return await (verifiers_decision if system == "verifiers decision" else plain_system_one)(job, case)


async def main():
    job = json.loads(sys.stdin.readline())
    os.environ["PEERS_KEY"] = "none"
    permits = asyncio.Semaphore(job["at_once"])
    out = sys.stdout

    async def timed(case, number):
        async with permits:
            began = time.monotonic()
            try:
                answer = await judge(job, case)
            except Exception as error:  # noqa: BLE001 - whatever a library raises is what is measured
                count = len(case["criteria"])
                answer = {"verdicts": [None] * count, "failed": [True] * count, "value": None}
                answer["error"] = f"{type(error).__name__}: {error}"[:300]
            answer |= {"id": case["id"], "round": number, "seconds": time.monotonic() - began}
        print(json.dumps({"error": None} | answer), file=out, flush=True)

    if job["warm_up"]:
        try:
            await judge(job, job["warm_up"])
        except Exception as error:  # noqa: BLE001 - what it is warm for will say so again
            print(f"the warm-up failed: {type(error).__name__}: {error}", file=sys.stderr)
    print(json.dumps({"ready": True}), file=out, flush=True)
    sys.stdin.readline()
    for number in range(job["rounds"]):
        await asyncio.gather(*(timed(case, number) for case in job["cases"]))
        print(json.dumps({"round": number}), file=out, flush=True)
        sys.stdin.readline()


if __name__ == "__main__":
    asyncio.run(main())
