"""T11: does the transition cache reach as far as the scenario, for every zone that is in use?

Value: share of active tzids (of sites, edges, settlements) whose cached transitions equal the pinned database's from
the horizon's start to its end plus horizon_margin_days; a declared end before the scenario's fails it whatever the
share. Population: active tzids. Source: remediation report behind the plan.

Thresholds: validation_policy_5B.yaml, gates.T11.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import numpy as np

from segment5b_lib.civil_time.horizon import Shortfall, Steps, shortfalls
from segment5b_lib.civil_time.oracle import expected_offsets
from segment5b_lib.contract.units import DAY_S
from segment5b_lib.contract.verdicts import Measurement, not_measured
from segment5b_lib.contract.words import Verdict
from segment5b_lib.gates.evidence.run_tables import Evidence
from segment5b_lib.gates.gate import ZONE_SOURCES, Gate, Group
from segment5b_lib.identity import utc_text


def measure(evidence: Evidence) -> Measurement:
    zones, horizons = evidence.active_zones, evidence.horizons
    if not zones or not horizons:
        return not_measured("the world has no active time zones or no scenarios", "active tzids")
    start, end = min(h.start for h in horizons), max(h.end for h in horizons)
    margin = evidence.policy.civil_time.horizon_margin_days * DAY_S

    def database(tzid: str) -> Steps:
        steps = expected_offsets(tzid, start, end + margin)
        return steps.instants, np.rint(steps.offset_seconds / 60).astype(np.int32)

    short = shortfalls(evidence.cache, zones, start, end, margin=margin, database=database)
    declared = evidence.cache_document.get("transitions_through_utc")
    lacking = declared is not None and datetime.fromisoformat(str(declared)).timestamp() < end
    detail = {
        "active_zones": len(zones),
        "zones_that_fall_short": len(short),
        "checked_from_utc": utc_text(start),
        "checked_through_utc": utc_text(end + margin),
        "declared_through_utc": declared,
        "tzdb_release_tag": evidence.cache_document.get("tzdb_release_tag"),
        "shortfalls": [_row(entry) for entry in short],
    }
    ruling, reason = None, ""
    if lacking:
        ruling, reason = (
            Verdict.FAIL,
            f"the cache declares transitions through {declared}, the scenario ends {utc_text(end)}",
        )
    return Measurement((len(zones) - len(short)) / len(zones), len(zones), "active tzids", detail, ruling, reason)


def _row(entry: Shortfall) -> dict[str, object]:
    missing_zone = entry.cached_minutes is None
    return {
        "tzid": entry.tzid,
        "problem": "zone not in the cache" if missing_zone else "offset differs",
        "first_utc": utc_text(entry.utc_second),
        "expected_minutes": entry.expected_minutes,
        "cached_minutes": entry.cached_minutes,
    }


GATES: Final = (
    Gate(
        gate_id="T11",
        title="Transition horizon",
        unit="share",
        formula="active tzids whose cached transitions equal the pinned database from the horizon's start "
        "to its end plus the margin, and a declared horizon not before the scenario's end",
        evidence=("tz_timetable_cache", *ZONE_SOURCES),
        owner="2A",
        group=Group.LOCAL_TIME,
        measure=measure,
        watched_by_s5=True,
    ),
)
