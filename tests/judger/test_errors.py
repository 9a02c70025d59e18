"""The exception tree."""

from __future__ import annotations

import pickle

import pytest

from judger import errors
from judger.errors import (
    EngineError,
    InvalidRequest,
    JudgeMismatch,
    JudgerError,
    Overloaded,
    TooLarge,
    Unavailable,
)
from judger.wire.status import code_name


@pytest.mark.parametrize(
    "error",
    [
        InvalidRequest("criteria[3].weight", "is not finite"),
        JudgeMismatch("mini-1", "mini-2"),
        Overloaded("too much", 1.5),
        Unavailable("gone", 2.0),
        TooLarge("more than ever"),
        EngineError("dead"),
    ],
)
def test_an_error_crosses_processes_with_its_fields(error: JudgerError) -> None:
    back = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (type(back), str(back), vars(back)) == (type(error), str(error), vars(error))


def test_every_error_has_a_status_and_is_public() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, JudgerError)]
    assert {kind.__name__ for kind in kinds} <= set(errors.__all__)
    for kind in errors.STATUS:
        assert code_name(kind.__new__(kind)) == errors.STATUS[kind]
