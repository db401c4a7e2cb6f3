"""Values, thresholds and distances as short texts with units: one wording for boards, reports and charts."""

from __future__ import annotations

import math

from segment5b_lib.contract.verdicts import GateResult

_COUNTED = ("keys", "rows", "blocks", "columns")
_BOUNDS = {"min": "≥", "max": "≤"}


def value_text(value: float | None, unit: str) -> str:
    """A value with its unit: shares in per cent, counts with separators."""
    if value is None:
        return "–"
    if unit == "share":
        return f"{_digits(100 * value)} %"
    if unit == "p":
        return f"{value:.2g}"
    if unit == "pp":
        return f"{_digits(value)} pp"
    return f"{value:,.0f} {unit}" if unit in _COUNTED else f"{_digits(value)} {unit}"


def threshold_text(result: GateResult, level: str) -> str:
    """The bounds of one level (`b` or `bplus`), e.g. ``≥ 3 %, ≤ 8 %``."""
    bounds = [entry for entry in result.thresholds if entry.level == level]
    return ", ".join(f"{_BOUNDS[entry.bound]} {value_text(entry.value, result.unit)}" for entry in bounds)


def provenance_text(result: GateResult) -> str:
    """Policy file and key that the thresholds come from, e.g. ``validation_policy_5B: gates.T1``."""
    keys = {(entry.policy_file, entry.policy_key.rsplit(".", 2)[0]) for entry in result.thresholds}
    return ", ".join(f"{file}: {key}" for file, key in sorted(keys))


def distance_text(result: GateResult) -> str:
    """How far the value lies inside or outside its nearest B bound; shares in percentage points."""
    margin = distance(result)
    if margin is None:
        return ""
    amount = value_text(100 * abs(margin), "pp") if result.unit == "share" else value_text(abs(margin), result.unit)
    if margin == 0:
        return "on the B threshold"
    return f"{amount} inside B" if margin > 0 else f"{amount} outside B"


def distance(result: GateResult) -> float | None:
    """Distance to the nearest B bound in the gate's unit, negative outside; None without value or bound."""
    bounds = [entry for entry in result.thresholds if entry.level == "b"]
    if result.value is None or not bounds:
        return None
    return min(entry.value - result.value if entry.bound == "max" else result.value - entry.value for entry in bounds)


def _digits(value: float) -> str:
    """Four significant digits, without an exponent and without trailing zeros."""
    if value == 0:
        return "0"
    decimals = max(0, 3 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
