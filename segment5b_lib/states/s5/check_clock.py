"""Checks of S5 on clocks: reach of the cache, encoding, mismatch, one-hour signature, hours around transitions.

`civil_time_enforcement` governs all of them: under `warn_only` a violation is an advisory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from segment5b_lib.arrays import I64, Flags
from segment5b_lib.civil_time.cache import decode
from segment5b_lib.civil_time.horizon import Steps, shortfalls
from segment5b_lib.civil_time.oracle import expected_offsets
from segment5b_lib.contract.dataset import WALL
from segment5b_lib.contract.units import DAY_S, HOUR_S, SECOND_US
from segment5b_lib.contract.verdicts import Bound, gate_bound, number_bound
from segment5b_lib.contract.words import Verdict
from segment5b_lib.identity import utc_text
from segment5b_lib.states.s5.check import Check, Issue, check_bounds, when_clock_violated
from segment5b_lib.states.s5.clock_sample import ClockSample
from segment5b_lib.states.s5.expected_clock import stored_clock_errors
from segment5b_lib.states.s5.inputs import CheckInputs, ScenarioInputs, total
from segment5b_lib.states.s5.part_audit import VIRTUAL_ROLES


def clock_checks(inputs: CheckInputs) -> list[Check]:
    errors = [_errors(scenario) for scenario in inputs.scenarios]
    windows = [
        row for scenario, error in zip(inputs.scenarios, errors, strict=True) for row in _windows(scenario, error)
    ]
    return [
        _horizon_guard(inputs),
        _local_contract(inputs),
        _mismatch(inputs, errors),
        _one_hour(inputs, errors),
        *_hour_bins(inputs, windows),
    ]


def _errors(scenario: ScenarioInputs) -> I64:
    clock = scenario.clock
    return stored_clock_errors(scenario.horizon, clock.zones, clock.rows["zone"], clock.rows["ts"], clock.rows["local"])


def _mismatch(inputs: CheckInputs, errors: Sequence[I64]) -> Check:
    """Estimated share of wrong clocks, in the column where it is largest."""
    tolerance = inputs.policies.validation.civil_time.tolerance_seconds * SECOND_US
    shares: dict[str, float | None] = {"primary": _estimate(inputs, [abs(error) > tolerance for error in errors])}
    for role in VIRTUAL_ROLES:
        role_errors = np.concatenate([scenario.audit.role_errors[role] for scenario in inputs.scenarios])
        if role_errors.size:
            shares[role] = float((abs(role_errors) > tolerance).mean())
    measured = [share for share in shares.values() if share is not None]
    issues = _worst(inputs, errors, tolerance) + [
        Issue(f"ts_local_{role} of virtual arrivals in sampled parts", "0 s", f"{100 * share:.2f} % wrong")
        for role in VIRTUAL_ROLES
        if (share := shares.get(role))
    ]
    return _of_sample(
        inputs,
        "CIVIL_MISMATCH",
        max(measured, default=None),
        [gate_bound(inputs.policies.validation, "T1", "b")],
        "local times differ from the oracle's wall clock",
        detail={"share_by_column": shares},
        issues=issues,
    )


def _one_hour(inputs: CheckInputs, errors: Sequence[I64]) -> Check:
    """Estimated share of clocks that are off by exactly an hour: the signature of a missed transition."""
    tolerance = inputs.policies.validation.civil_time.tolerance_seconds * SECOND_US
    exact = [abs(abs(error) - HOUR_S * SECOND_US) <= tolerance for error in errors]
    return _of_sample(
        inputs,
        "ONE_HOUR_MASS",
        _estimate(inputs, exact),
        [gate_bound(inputs.policies.validation, "T2", "b")],
        "primary local times are off by exactly one hour",
    )


def _estimate(inputs: CheckInputs, hits: Sequence[Flags]) -> float | None:
    """Share of all arrivals, each stratum of the sample weighted by its arrivals."""
    sampled = zip(inputs.scenarios, hits, strict=True)
    wrong = sum(float(scenario.clock.weights()[hit].sum()) for scenario, hit in sampled)
    return wrong / inputs.arrivals if inputs.arrivals else None


def _of_sample(
    inputs: CheckInputs,
    check_id: str,
    share: float | None,
    bounds: Sequence[Bound],
    what: str,
    *,
    detail: dict[str, Any] | None = None,
    issues: Sequence[Issue] = (),
) -> Check:
    clocks = [scenario.clock for scenario in inputs.scenarios]
    sampled = total(clock.rows.size for clock in clocks)
    text = "no arrivals" if share is None else f"{100 * share:.4f} % of the {what}"
    return check_bounds(
        check_id,
        share,
        "share of arrivals",
        bounds,
        (inputs.arrivals, "arrivals"),
        f"{text}; estimated from {sampled} arrivals, every DST window first",
        when_violated=when_clock_violated(inputs.policies),
        detail={"sampled": sampled, "windows": total(len(clock.windows) for clock in clocks), **(detail or {})},
        issues=issues,
    )


def _worst(inputs: CheckInputs, errors: Sequence[I64], tolerance: float) -> list[Issue]:
    """The strata with the largest share of wrong clocks."""
    strata: list[tuple[float, str, float]] = []
    for scenario, error in zip(inputs.scenarios, errors, strict=True):
        stratum = scenario.clock.rows["stratum"]
        for number in np.unique(stratum).tolist():
            inside = error[stratum == number]
            share = float((abs(inside) > tolerance).mean())
            name = "elsewhere" if number < 0 else _window_name(scenario.clock, number)
            strata.append((share, f"scenario {scenario.scenario_id}, {name}", float(np.median(inside)) / SECOND_US))
    worst = sorted((row for row in strata if row[0] > 0), key=lambda row: (-row[0], row[1]))
    return [Issue(where, "0 s", f"{100 * share:.2f} % wrong, median {median:g} s") for share, where, median in worst]


def _windows(scenario: ScenarioInputs, errors: I64) -> list[dict[str, Any]]:
    """Per window: rows in all, and the MAE in percentage points between stored and expected local hours."""
    clock, distances = scenario.clock, []
    for number, rows in enumerate(clock.window_rows.tolist()):
        inside = np.flatnonzero(clock.rows["stratum"] == number)
        stored = clock.rows["local"][inside]
        mae = _hour_distance(stored, stored - errors[inside]) if inside.size else None
        name = f"{scenario.scenario_id}, {_window_name(clock, number)}"
        distances.append({"window": name, "arrivals": rows, "sampled": inside.size, "mae_pp": mae})
    return distances


def _hour_distance(stored: I64, expected: I64) -> float:
    """Mean over 24 local-hour bins of |difference of shares|, percentage points."""
    bins = [np.bincount((local // (HOUR_S * SECOND_US)) % 24, minlength=24) for local in (stored, expected)]
    return float(100 * np.abs(bins[0] - bins[1]).mean() / stored.size)


def _hour_bins(inputs: CheckInputs, windows: list[dict[str, Any]]) -> list[Check]:
    """MAE weighted by support, and whether the support is sufficient."""
    civil = inputs.policies.validation.civil_time
    used = [row for row in windows if row["arrivals"] >= civil.dst_window_min_support]
    support = sum(row["arrivals"] for row in used)
    value = sum(row["mae_pp"] * row["arrivals"] for row in used) / support if support else None
    population = (support, "arrivals in DST windows")
    if not windows:
        return [_not_exposed(name, inputs) for name in ("HOUR_BIN_MAE", "DST_WINDOWS", "DST_SUPPORT")]
    strict = when_clock_violated(inputs.policies)
    key = "civil_time.dst_window_min_"
    exposed = number_bound("validation", f"{key}exposed_windows", min=civil.dst_window_min_exposed_windows)
    least = number_bound("validation", f"{key}total_support", min=civil.dst_window_min_total_support)
    enough = f"{len(used)} of {len(windows)} windows hold at least {civil.dst_window_min_support} arrivals each"
    return [
        check_bounds(
            "HOUR_BIN_MAE",
            value,
            "percentage points",
            [gate_bound(inputs.policies.validation, "T3", "b")],
            population,
            "no window has support" if value is None else f"{value:.3f} pp over {len(used)} windows",
            when_violated=strict,
            detail={"windows": windows},
        ),
        check_bounds(
            "DST_WINDOWS", len(used), "windows", [exposed], (len(windows), "windows"), enough, when_violated=strict
        ),
        check_bounds("DST_SUPPORT", support, "arrivals", [least], population, enough, when_violated=strict),
    ]


def _not_exposed(check_id: str, inputs: CheckInputs) -> Check:
    zones = len(inputs.places.primary_tzids)
    message = f"not applicable: none of {zones} zones changes its offset within the horizon"
    return check_bounds(check_id, None, "", (), (0, "windows"), message, ruling=Verdict.NOT_APPLICABLE)


def _window_name(clock: ClockSample, number: int) -> str:
    window = clock.windows[number]
    return f"{window.tzid} around {utc_text(window.transition)}"


def _horizon_guard(inputs: CheckInputs) -> Check:
    """The cache against the oracle, for every active zone, over the horizon and its margin."""
    places, context = inputs.places, inputs.context
    path = context.run.world.files("tz_timetable_cache")[0]
    start = min(scenario.horizon.start for scenario in inputs.scenarios)
    end = max(scenario.horizon.end for scenario in inputs.scenarios)
    margin = inputs.policies.validation.civil_time.horizon_margin_days * DAY_S

    def database(tzid: str) -> Steps:
        # The oracle has cached the horizon already; only the margin is new.
        steps = [expected_offsets(tzid, start, end), expected_offsets(tzid, end - 1, end + margin)]
        instants, seconds = (np.concatenate([steps[0][field], steps[1][field][1:]]) for field in (0, 1))
        return instants, np.rint(seconds / 60).astype(np.int32)

    cache = decode(path.read_bytes(), path.name)
    short = shortfalls(cache, places.tzids, start, end, margin=margin, database=database)
    issues = [
        Issue(
            f"tz_timetable_cache, {entry.tzid} at {utc_text(entry.utc_second)}",
            f"{entry.expected_minutes} min",
            "no such zone" if entry.cached_minutes is None else f"{entry.cached_minutes} min",
        )
        for entry in short
    ]
    active = len(places.tzids)
    return check_bounds(
        "HORIZON_GUARD",
        (active - len(short)) / active if active else None,
        "share of active zones",
        [gate_bound(inputs.policies.validation, "T11", "b")],
        (active, "active zones"),
        f"the cache is wrong for {len(short)} of {active} active zones up to {utc_text(end + margin)}",
        when_violated=when_clock_violated(inputs.policies),
        detail={"zones_that_fall_short": [entry.tzid for entry in short]},
        issues=issues,
    )


def _local_contract(inputs: CheckInputs) -> Check:
    parts = [(scenario, part) for scenario in inputs.scenarios for part in scenario.parts]
    marked = [(scenario, part) for scenario, part in parts if any(kind != WALL for kind in part.local_types)]
    rows = sum(part.rows for _, part in marked)
    issues = [
        Issue(f"scenario {scenario.scenario_id}, {part.path.name}", str(WALL), ", ".join(map(str, part.local_types)))
        for scenario, part in marked
    ]
    arrivals = inputs.arrivals
    return check_bounds(
        "LOCAL_TIME_CONTRACT",
        1 - rows / arrivals if arrivals else None,
        "share of arrivals",
        [gate_bound(inputs.policies.validation, "T12", "b")],
        (arrivals, "arrivals"),
        f"{rows} of {arrivals} arrivals store local times that are marked as UTC",
        when_violated=when_clock_violated(inputs.policies),
        issues=issues,
    )
