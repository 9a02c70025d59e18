"""Bugs of our own: they cost the case that meets them, say where they are, and tell no stranger's text."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath
from typing import Any

import grpc

from judger.errors import EngineError, JudgerError
from judger.reward import reward
from judger.types import Case, Judgement, Options, Reason, Unscored, Verdict
from judger.wire.status import DETAILS_TRAILER, code_name, error_status

__all__ = ["own_faults", "tell", "unjudged"]

logger = logging.getLogger(__name__)


def unjudged(case: Case, options: Options, judge_id: str, why: str) -> Judgement:
    """No verdict on any criterion, and why."""
    lost = Unscored(Reason.ENGINE_ERROR, why)
    verdicts = tuple(Verdict(criterion_id=one.id, result=lost) for one in case.criteria)
    counted = reward(case.criteria, verdicts, mapping=options.mapping, allow_unscored=options.allow_unscored)
    return Judgement(case_id=case.id, verdicts=verdicts, reward=counted, judge_id=judge_id)


@contextmanager
def own_faults() -> Iterator[None]:
    """A bug of ours within is an EngineError: its kind and place, and nothing of the texts that it may quote."""
    try:
        yield
    except JudgerError:
        raise
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{type(error).__name__} in {place.name} ({PurePath(place.filename).name}:{place.lineno})"
        logger.error("a fault of this server's own: %s", where, exc_info=True)
        raise EngineError(f"a fault of the server's own: {where}") from error


def tell(context: Any, error: JudgerError) -> None:
    """Sets a call's status."""
    # Not `context.abort`: what it raises holds the frames that hold the context that holds it, and with them the
    # request's texts, until the garbage collector comes by.
    status = error_status(error)
    context.set_code(grpc.StatusCode[code_name(error)])
    context.set_details(status.message)
    context.set_trailing_metadata(((DETAILS_TRAILER, status.SerializeToString()),))
