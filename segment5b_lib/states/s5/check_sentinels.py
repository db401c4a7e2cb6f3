"""The sentinels of S5: T6 to T9 from full totals, as strict as `calibration_sentinels.evaluation_mode`."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from segment5b_lib.contract.verdicts import Bound, Level, gate_bound, thresholds_of
from segment5b_lib.contract.words import Verdict
from segment5b_lib.kernel.drawn_sums import NOTHING_DRAWN, DrawnSums
from segment5b_lib.model.statistics import (
    TOP_ZONES,
    implied_dispersion,
    pearson_dispersion,
    top_share,
    weekend_difference,
    weekend_noise_pp,
)
from segment5b_lib.states.s5.check import Check, CheckStatus, check_bounds
from segment5b_lib.states.s5.inputs import CheckInputs

_LEVELS: Final[dict[str, tuple[Level, ...]]] = {
    "warn_only": ("b",),
    "enforce_b": ("b",),
    "enforce_bplus": ("b", "bplus"),
}
"""Thresholds that each mode compares a value with. B+ always needs B too."""


def sentinel_checks(inputs: CheckInputs) -> list[Check]:
    drawn = NOTHING_DRAWN
    for scenario in inputs.scenarios:
        drawn = drawn.plus(scenario.ledger.drawn)
    return [_concentration(inputs), _virtual_share(inputs), _weekend(inputs, drawn), _dispersion(inputs, drawn)]


def _sentinel(
    inputs: CheckInputs,
    gate: str,
    name: str,
    value: float | None,
    unit: str,
    population: tuple[int, str],
    message: str,
    detail: dict[str, Any],
    *,
    ruling: Verdict | None = None,
) -> Check:
    """A violation of a hard gate fails, that of a major one warns; under `warn_only` either is an advisory."""
    mode = inputs.policies.validation.calibration_sentinels.evaluation_mode
    severity = thresholds_of(inputs.policies.validation, gate).severity
    enforced = CheckStatus.FAIL if severity == "hard" else CheckStatus.WARN
    return check_bounds(
        f"{gate}_{name}",
        value,
        unit,
        _bounds(inputs, gate),
        population,
        message,
        when_violated=CheckStatus.ADVISORY if mode == "warn_only" else enforced,
        detail={"evaluation_mode": mode, "severity": severity, **detail},
        ruling=ruling,
    )


def _bounds(inputs: CheckInputs, gate: str) -> list[Bound]:
    mode = inputs.policies.validation.calibration_sentinels.evaluation_mode
    return [gate_bound(inputs.policies.validation, gate, level) for level in _LEVELS[mode]]


def _concentration(inputs: CheckInputs) -> Check:
    zones: Counter[str] = Counter()
    for scenario in inputs.scenarios:
        for shard in scenario.shards.values():
            zones.update(shard["rows_of_zone"])
    arrivals = sum(zones.values())
    largest = sorted(zones.items(), key=lambda row: (-row[1], row[0]))[:TOP_ZONES]
    share = top_share(zones.values())
    message = f"the ten largest of {len(zones)} zones, led by {', '.join(tzid for tzid, _ in largest[:3])}"
    detail = {"largest": dict(largest), "zones": len(zones)}
    population = (arrivals, "arrivals")
    return _sentinel(inputs, "T6", "TOP10_ZONES", share, "share of arrivals", population, message, detail)


def _virtual_share(inputs: CheckInputs) -> Check:
    virtual = sum(scenario.summary.virtual for scenario in inputs.scenarios)
    arrivals = sum(scenario.summary.arrivals for scenario in inputs.scenarios)
    share = virtual / arrivals if arrivals else None
    message = f"{virtual} of {arrivals} arrivals are virtual"
    return _sentinel(
        inputs, "T7", "VIRTUAL_SHARE", share, "share of arrivals", (arrivals, "arrivals"), message, {"virtual": virtual}
    )


def _weekend(inputs: CheckInputs, drawn: DrawnSums) -> Check:
    """Weekend share of S3's counts against that of the intensities, by the oracle's local date of each row's zone.

    CIVIL_MISMATCH checks whether the stored clocks show these dates.
    """
    if not drawn.mean or not drawn.arrivals:
        return _sentinel(inputs, "T8", "WEEKEND", None, "pp", (0, "arrivals"), "no arrivals are expected", {})
    expected, observed = drawn.mean_w / drawn.mean, drawn.arrivals_w / drawn.arrivals
    spread = drawn.v_ww - 2 * expected * drawn.v_w + expected**2 * drawn.v
    arrivals, noise = round(drawn.arrivals), weekend_noise_pp(spread, drawn.mean)
    limit = min(bound.limit.max for bound in _bounds(inputs, "T8") if bound.limit.max is not None)
    value, _, needed = weekend_difference(observed, expected, noise, arrivals, limit)
    message = f"weekend share {observed:.5f} by counts, {expected:.5f} by intensity; 4 SE = {noise:.3f} pp"
    detail = {"observed": observed, "expected": expected, "four_standard_errors_pp": noise}
    population, ruling = (arrivals, "arrivals"), None
    if needed is not None:
        message = f"insufficient power: needs about {needed} arrivals; {message}"
        detail, ruling = detail | {"arrivals_needed": needed}, Verdict.INSUFFICIENT_POWER
    return _sentinel(inputs, "T8", "WEEKEND", value, "percentage points", population, message, detail, ruling=ruling)


def _dispersion(inputs: CheckInputs, drawn: DrawnSums) -> Check:
    """Standard deviation of (count − mu)/√mu over the rows that were drawn."""
    n = drawn.rows
    deviation, model = None, None
    if n > 1:
        deviation = pearson_dispersion(n, drawn.residual, drawn.residual_squared)
        model = implied_dispersion(n, drawn.relative_variance)
    rows = sum(scenario.ledger.rows for scenario in inputs.scenarios)
    message = (
        "fewer than two rows were drawn" if deviation is None else f"{deviation:.4f}; the count law implies {model:.4f}"
    )
    detail = {"model_value": model, "rows_at_or_below_lambda_zero_eps": rows - n}
    return _sentinel(inputs, "T9", "DISPERSION", deviation, "standard deviation", (n, "rows"), message, detail)
