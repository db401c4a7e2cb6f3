"""Checks of S5 on what the clocks rest on: how far the cache reaches, and how local times are stored.

`civil_time_enforcement` governs both.
"""

from __future__ import annotations

import numpy as np

from segment5b_lib.civil_time.cache import decode
from segment5b_lib.civil_time.horizon import Steps, shortfalls
from segment5b_lib.civil_time.oracle import expected_offsets
from segment5b_lib.contract.datasets import WALL
from segment5b_lib.contract.units import DAY_S
from segment5b_lib.contract.verdicts import gate_bound
from segment5b_lib.identity import utc_text
from segment5b_lib.states.s5.check import Check, Issue, check_bounds, when_clock_violated
from segment5b_lib.states.s5.inputs import CheckInputs


def horizon_checks(inputs: CheckInputs) -> list[Check]:
    """Horizon guard and local-time contract."""
    return [_horizon_guard(inputs), _local_contract(inputs)]


def _horizon_guard(inputs: CheckInputs) -> Check:
    """The cache against the oracle, for every active zone, over the horizon and its margin."""
    places, context = inputs.places, inputs.context
    path = context.run.world.files("tz_timetable_cache")[0]
    start = min(scenario.horizon.start for scenario in inputs.scenarios)
    end = max(scenario.horizon.end for scenario in inputs.scenarios)
    margin = inputs.policies.validation.civil_time.horizon_margin_days * DAY_S

    def database(tzid: str) -> Steps:
        # The horizon itself has been asked for already; what is new is the margin.
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
    """Local times are wall clock in the schema of every part file: no UTC marker."""
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
