"""The judges of a cascade, and who they are together."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from judger.engines.base import Engine, Identity, SelfBatching
from judger.engines.cascade.settings import CascadeSettings, Level
from judger.engines.code import code_digest
from judger.verdict import Calibration
from judger.version import __version__

__all__ = ["Levels", "Member", "identity_of"]


@dataclass(frozen=True, slots=True)
class Member:
    """A judge of a level, with the calibration that it is given."""

    engine: Engine | SelfBatching
    calibration: Calibration

    @property
    def name(self) -> str:
        identity = self.engine.identity
        return identity.engine if identity.model in (identity.engine, "") else f"{identity.engine} {identity.model}"


Levels = tuple[tuple[Member, ...], tuple[Member, ...]]


def identity_of(settings: CascadeSettings, levels: Levels, level: Level) -> Identity:
    """All judges by name; what makes each of them, and how they are joined, is in the digests."""
    every = [[asdict(member.engine.identity) | asdict(member.calibration) for member in members] for members in levels]
    names = " -> ".join(" + ".join(member.name for member in members) for members in levels)

    def all_of(field: str) -> str:
        return json.dumps([[str(one[field]) for one in members] for members in every])

    return Identity(
        engine="cascade",
        model=names,
        engine_version=" ".join([__version__, all_of("engine_version")]),
        weights=all_of("weights"),
        tokenizer=all_of("tokenizer"),
        prompt=all_of("prompt"),
        precision=all_of("precision"),
        endpoint=all_of("endpoint"),
        code=code_digest("engines/cascade"),
        device=all_of("device"),
        fence=all_of("fence"),
        settings=json.dumps([settings.margin, settings.on_failure, level, every]),
    )
