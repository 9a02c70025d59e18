"""What the soak asks for: requests that follow from their key alone, so that a quiet re-run can be compared."""

from __future__ import annotations

import hashlib
import random

from judger.types import Lane
from judger.v1 import judger_pb2 as pb

SECONDS_A_CASE = 0.1
"""What a case costs the scripted engine: its capacity is one over that."""
GROUP = 4
"""Reports of a group, and requests of a stream."""
SCRIPTS = ("[[fully]]", "[[partially]]", "[[not]]", "[[p=0.2,0.3,0.5]]", "the market grows", "risk and cost")
WORDS = ("market", "risk", "cost", "grows", "and", "the", "plan")


def request(key: str, *, quiet: bool = False) -> pb.JudgeRequest:
    """The request of a key: `NUMBER`, or `NUMBER.INDEX` for a report of that number's group.

    Args:
        quiet: it costs the engine nothing; the verdicts are the same.
    """
    number, _, index = key.partition(".")
    chance = random.Random(int(number))
    criteria = [
        pb.Criterion(id=f"c{i}", text=f"{chance.choice(SCRIPTS)} {i}", weight=chance.choice((1.0, 2.0, -1.0)))
        for i in range(chance.randint(1, 8))
    ]
    cost = 0 if quiet else SECONDS_A_CASE
    criteria.append(pb.Criterion(id="cost", text=f"[[slow={cost}]] [[fully]]"))
    report = f"{number} {' '.join(chance.choices(WORDS, k=chance.randint(5, 400)))} {index}".strip()
    return pb.JudgeRequest(request_id=key, report=report, criteria=criteria, lane=chance.choice(list(Lane)).name)


def group(number: int) -> pb.JudgeGroupRequest:
    """`GROUP` reports under one rubric; the one at `index` is that of `request(f"{number}.{index}")`."""
    each = [request(f"{number}.{index}") for index in range(GROUP)]
    reports = [one.report for one in each]
    return pb.JudgeGroupRequest(request_id=str(number), reports=reports, criteria=each[0].criteria, lane=each[0].lane)


def essence(response: pb.JudgeResponse) -> str:
    """What must not differ: a digest of the verdicts and the reward, bit by bit."""
    kept = pb.JudgeResponse(verdicts=response.verdicts, reward=response.reward)
    return hashlib.blake2b(kept.SerializeToString(deterministic=True), digest_size=16).hexdigest()


def is_whole(response: pb.JudgeResponse) -> bool:
    return not response.HasField("error") and all(verdict.HasField("score") for verdict in response.verdicts)


def answers(response: pb.JudgeResponse, asked: pb.JudgeRequest) -> bool:
    """Whether each criterion has one verdict, in order: none is lost, none is there twice."""
    return [one.criterion_id for one in response.verdicts] == [one.id for one in asked.criteria]
