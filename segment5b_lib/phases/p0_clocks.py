"""P0's look at the machine's other tz databases: what would the run's clocks show by them?

They compute no stored value. A difference is told with its release; one that no release explains is a failure, because
then either the oracle or the witness is wrong, and nobody knows which.
"""

from __future__ import annotations

import polars as pl

from segment5b_lib.civil_time.tz_drift import difference_lines, drift_line, machine_drift
from segment5b_lib.civil_time.tzif import IANA_RELEASE
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.phases.engine.envelope import DodItem, Node
from segment5b_lib.phases.engine.phase import item

_DAY = 86_400


class TzDifference(Node):
    """Another offset than the oracle's on [from_utc, until_utc); `found_seconds` is None for an unknown zone."""

    tzid: str
    from_utc: str
    until_utc: str
    expected_seconds: int
    found_seconds: int | None
    releases: list[str]


class TzDatabase(Node):
    """One database over the run's horizon and margin: see `civil_time.tz_drift.DriftLine`.

    `differences` are those of the zones in use, in the horizon.
    """

    database: str
    version: str
    release: str
    states: str | None
    in_use: int
    zones: int
    first_utc: str | None
    later: int
    later_utc: str | None
    unexplained: list[str]
    differences: list[TzDifference]


def tz_databases(scorecard: Scorecard) -> list[TzDatabase]:
    """Every database of this machine but the pinned one, compared over the horizon that T11 looks at."""
    evidence = scorecard.evidence
    start = min(horizon.start for horizon in evidence.horizons)
    end = max(horizon.end for horizon in evidence.horizons) + evidence.policy.civil_time.horizon_margin_days * _DAY
    return [
        TzDatabase.model_validate(
            {
                **drift_line(drift, evidence.active_zones, start, end)._asdict(),
                "differences": [
                    {name: value for name, value in line._asdict().items() if name != "database"}
                    for line in difference_lines(drift, start, end)
                    if line.tzid in evidence.active_zones
                ],
            }
        )
        for drift in machine_drift(end)
    ]


def tz_rows(scorecard: Scorecard) -> list[dict[str, str]]:
    """The same as texts: database, release, zones in use that differ, all zones that do, from when, later ones."""
    active = len(scorecard.evidence.active_zones)
    return [
        {
            "database": f"{line.database} {line.version}".strip(),
            "release": line.release,
            "zones in use that differ": f"{line.in_use} of {active}",
            "all that differ": str(line.zones),
            "from": line.first_utc or "–",
            "later": f"{line.later} from {line.later_utc}" if line.later else "–",
        }
        for line in tz_databases(scorecard)
    ]


def tz_frame(scorecard: Scorecard) -> pl.DataFrame:
    """`tz_rows` as a frame."""
    return pl.DataFrame(tz_rows(scorecard))


def explained(scorecard: Scorecard) -> DodItem:
    """Every difference must be that of a release."""
    lines = tz_databases(scorecard)
    open_points = [f"{line.database}: {', '.join(line.unexplained)}" for line in lines if line.unexplained]
    releases = ", ".join(f"{line.database} {line.release}" for line in lines)
    text = "what other tz databases say otherwise is explained by their release"
    return item("P0.8", text, open_points, f"oracle {IANA_RELEASE}; {releases}")
