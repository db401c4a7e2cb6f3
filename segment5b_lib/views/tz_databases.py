"""The machine's other time-zone databases compared with the pinned one. They compute no stored value."""

from __future__ import annotations

import polars as pl

from segment5b_lib.civil_time.drift import DriftLine, drift_line, machine_drift
from segment5b_lib.contract.units import DAY_S
from segment5b_lib.gates.evidence.run_tables import Evidence


def drift_lines(evidence: Evidence) -> list[DriftLine]:
    """Every database of this machine except the pinned one, compared over the horizon of gate T11."""
    start = min(horizon.start for horizon in evidence.horizons)
    end = max(horizon.end for horizon in evidence.horizons) + evidence.policy.civil_time.horizon_margin_days * DAY_S
    return [drift_line(drift, evidence.active_zones, start, end) for drift in machine_drift(end)]


def tz_databases(evidence: Evidence) -> pl.DataFrame:
    """The machine's other tz databases against the pinned one, as texts.

    Returns `database`, `release`, `zones in use that differ`, `all that differ`, `from` (first instant, UTC), `later`
    (zones that differ only after the horizon). `segment5b doctor` checks that a release explains every difference.

    Example: `views.tz_databases(evidence)`
    """
    active = len(evidence.active_zones)
    return pl.DataFrame(
        [
            {
                "database": f"{line.database} {line.version}".strip(),
                "release": line.release,
                "zones in use that differ": f"{line.in_use} of {active}",
                "all that differ": str(line.zones),
                "from": line.first_utc or "–",
                "later": f"{line.later} from {line.later_utc}" if line.later else "–",
            }
            for line in drift_lines(evidence)
        ]
    )
