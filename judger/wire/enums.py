"""The contract's enums and ours, paired by name."""

from __future__ import annotations

import enum
from typing import Any, TypeVar

from judger.errors import InvalidRequest
from judger.types import Explain, Label, Lane, Mapping, Reason, Role
from judger.v1 import judger_pb2 as pb

K = TypeVar("K", bound=enum.StrEnum)


def _values(numbers: Any, kind: type[K]) -> dict[int, K]:
    """An enum of the contract as {number: ours}, by name; zero, UNSPECIFIED, is left out."""
    return {number: kind[name] for name, number in numbers.items() if number}


ROLES = _values(pb.Criterion.Role, Role)
MAPPINGS = _values(pb.Mapping.Value, Mapping)
EXPLAINS = _values(pb.Explain.Value, Explain)
LANES = _values(pb.Lane.Value, Lane)
LABELS = _values(pb.Score.Label, Label)
REASONS = _values(pb.Unscored.Reason, Reason)

ROLE_NUMBERS = {value: number for number, value in ROLES.items()}
MAPPING_NUMBERS: dict[Mapping, Any] = {value: number for number, value in MAPPINGS.items()}
EXPLAIN_NUMBERS = {value: number for number, value in EXPLAINS.items()}
LANE_NUMBERS = {value: number for number, value in LANES.items()}
# Any: the generated stubs take the enum's own type where they are fine with its number.
LABEL_NUMBERS: dict[Label, Any] = {value: number for number, value in LABELS.items()}
REASON_NUMBERS: dict[Reason, Any] = {value: number for number, value in REASONS.items()}


def read_enum(field: str, number: int, table: dict[int, K], unspecified: K) -> K:
    """Our value of the number; `unspecified` for zero. Raises InvalidRequest."""
    value = table.get(number) if number else unspecified
    if value is None:
        raise InvalidRequest(field, unknown_value(number, table))
    return value


def unknown_value(number: int, table: dict[int, K]) -> str:
    """The reason why an enum's number is refused."""
    known = ", ".join(f"{value} {name.upper()}" for value, name in table.items())
    return f"{number} is no value of this enum ({known})"
