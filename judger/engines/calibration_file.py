"""A calibration as a file: what `judger calibrate` writes and `--calibration` reads."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

from judger.errors import InvalidRequest
from judger.rubric.fields import Fields, is_object
from judger.rubric.place import Faults, Place
from judger.rubric.source import read_values
from judger.verdict import IDENTITY, Calibration

__all__ = ["check_fit", "load_calibration", "save_calibration"]

KEYS = tuple(asdict(IDENTITY))
THRESHOLDS = ("positive_threshold", "negative_threshold", "partial_threshold")
# Beyond these the arithmetic of `Calibration` leaves the range of floating point.
TEMPERATURES = (0.01, 100.0)
MAX_BIAS = 100.0


def save_calibration(calibration: Calibration, path: str | Path) -> None:
    """Writes a calibration as JSON, in one step: a reader sees the old file or the new one. Raises OSError."""
    target = Path(path)
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    draft.write_text(json.dumps(asdict(calibration), indent=2, allow_nan=False) + "\n", encoding="utf-8")
    draft.replace(target)


def load_calibration(path: str | Path) -> Calibration:
    """Reads what `save_calibration` writes. Raises InvalidFile: nothing may be missing, and nothing unknown."""
    faults = Faults.of(path, None)
    loaded = [
        _calibration(value, place) for value, place in read_values(path, faults, kind="json") if is_object(value, place)
    ]
    if not faults.found and len(loaded) != 1:
        faults.add(1, "file", f"holds {len(loaded)} objects where one is wanted")
    faults.check()
    return loaded[0]


def _calibration(values: dict[str, object], place: Place) -> Calibration:
    """The calibration of an object; the identity where it has a fault."""
    before = len(place.faults.found)
    for key in values:
        if key not in KEYS:
            place.fault("is not a key of a calibration", key)
    fields = Fields(values, place)
    temperature = _within(fields, "temperature", *TEMPERATURES)
    thresholds = {key: _within(fields, key, 0.0, 1.0, open_interval=True) for key in THRESHOLDS}
    members = fields.items("bias") or []
    if len(members) != 3 and len(place.faults.found) == before:
        place.fault("must hold three numbers, for not, partially and fully", "bias")
    bias = Fields({str(i): member for i, member in enumerate(members)}, place.at("bias"))
    shifts = [_within(bias, str(i), -MAX_BIAS, MAX_BIAS) for i in range(len(members))]
    fitted_on = fields.text("fitted_on", required=True)
    fitted_for = fields.text("fitted_for", required=True)
    if len(place.faults.found) > before or len(shifts) != 3:
        return IDENTITY
    return Calibration(
        temperature=temperature,
        bias=(shifts[0], shifts[1], shifts[2]),
        fitted_on=fitted_on or "",
        fitted_for=fitted_for or "",
        **thresholds,
    )


def check_fit(calibration: Calibration, model_id: str) -> None:
    """Raises InvalidRequest where a file's calibration was fitted for another model than `model_id`.

    On another model's probabilities it would move verdicts and thresholds about, and nothing would tell.
    """
    if calibration.fitted_for != model_id:
        whose = calibration.fitted_for or "no model that it names"
        raise InvalidRequest(
            "calibration", f"it was fitted for {whose}, and this judge is {model_id}: fit one with judger calibrate"
        )


def _within(fields: Fields, key: str, low: float, high: float, *, open_interval: bool = False) -> float:
    """A number between two bounds; 0.5, which is nobody's, after a fault."""
    before = len(fields.place.faults.found)
    value = fields.number(key)
    if value is None:
        if len(fields.place.faults.found) == before and key not in fields.values:
            fields.place.fault("is missing", key)
    elif not (low < value < high if open_interval else low <= value <= high):
        fields.place.fault(f"must lie between {low:g} and {high:g}", key)
    return 0.5 if value is None else value
