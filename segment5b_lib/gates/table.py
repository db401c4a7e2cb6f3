"""The gates as data: what each one measures, in which unit, from which evidence, against which policy keys.

Thresholds and severity are not here: they stand in `validation_policy_5B` under the key that a gate names,
and every result says which file, key and value it was judged by. The order is the order of scoring: the clock
and conservation first, calibration after them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from segment5b_lib.errors import UsageError

THRESHOLD_FILE: Final = "validation_policy_5B"


@dataclass(frozen=True)
class Gate:
    """One measured property.

    `unit` is the unit of the value: `share` is a fraction of the population, `pp` percentage points, `sd` a
    standard deviation in units of the square root of the mean, `keys` and `rows` are counts. `policy_gate`
    names the entry of the policy's `gates` that holds severity and thresholds. `power` says when the data
    cannot decide. `owner` is the usual one; the owner of a failure comes from `attribution`.
    """

    gate_id: str
    title: str
    unit: str
    formula: str
    policy_gate: str
    evidence: tuple[str, ...]
    owner: str
    power: str = ""


_ARRIVALS = "arrival_events_5B"

GATES: Final[tuple[Gate, ...]] = (
    Gate(
        "T11",
        "Transition horizon",
        "share",
        "active tzids whose cached transitions equal the pinned database from the horizon's start to its end "
        "plus the margin, and a declared horizon not before the scenario's end",
        "T11",
        ("tz_timetable_cache", "site_timezones", "edge_catalogue_3B", "virtual_settlement_3B"),
        "2A",
    ),
    Gate(
        "T12",
        "Local-time contract",
        "share",
        "rows whose local columns are wall clock without a UTC marker, by the file's own schema and as an "
        "independent reader sees them",
        "T12",
        (_ARRIVALS,),
        "S4",
    ),
    Gate(
        "T1",
        "Civil-time mismatch",
        "share",
        "arrivals whose ts_local_primary differs from the expected wall clock by more than the tolerance",
        "T1",
        (_ARRIVALS,),
        "S4",
    ),
    Gate(
        "T1.settlement",
        "Settlement-clock mismatch",
        "share",
        "virtual arrivals whose ts_local_settlement differs from the expected wall clock",
        "T1",
        (_ARRIVALS,),
        "S4",
    ),
    Gate(
        "T1.operational",
        "Operational-clock mismatch",
        "share",
        "virtual arrivals whose ts_local_operational differs from the expected wall clock",
        "T1",
        (_ARRIVALS,),
        "S4",
    ),
    Gate(
        "T2",
        "One-hour signature",
        "share",
        "arrivals whose ts_local_primary is off by exactly one hour, either way",
        "T2",
        (_ARRIVALS,),
        "S4",
    ),
    Gate(
        "T3",
        "DST-window hour profile",
        "pp",
        "mean over 24 local-hour bins of |stored share - expected share| in the window around a transition, "
        "support-weighted over the windows with enough support",
        "T3",
        (_ARRIVALS,),
        "S4",
        "too few windows with support, or too few rows in all windows, although transitions are exposed",
    ),
    Gate(
        "T4",
        "Conservation S3 to S4",
        "keys",
        "keys (series and bucket) whose number of arrivals differs from S3's count, either way",
        "T4",
        ("s3_bucket_counts_5B", _ARRIVALS),
        "S4",
    ),
    Gate(
        "T5",
        "Physical and virtual nullability",
        "rows",
        "arrivals that are not (physical: site, no edge) and not (virtual: edge, no site)",
        "T5",
        (_ARRIVALS,),
        "S4",
    ),
    Gate(
        "T6",
        "Zone concentration",
        "share",
        "arrivals in the ten largest tzid_primary",
        "T6",
        (_ARRIVALS,),
        "S4 routing",
    ),
    Gate(
        "T7",
        "Virtual share",
        "share",
        "virtual arrivals",
        "T7",
        (_ARRIVALS,),
        "3B",
    ),
    Gate(
        "T8",
        "Weekend share by local date",
        "pp",
        "|share of arrivals on local Saturdays and Sundays - the same share of lambda_realised|",
        "T8",
        ("s2_realised_intensity_5B", "s3_bucket_counts_5B", _ARRIVALS),
        "S4",
        "four standard errors of the count law exceed the B threshold and the difference does not stand out",
    ),
    Gate(
        "T9",
        "Dispersion of counts",
        "sd",
        "standard deviation of (count - mu) / sqrt(mu) over rows with mu above lambda_zero_eps",
        "T9",
        ("s3_bucket_counts_5B",),
        "S3",
    ),
)


def gate(gate_id: str) -> Gate:
    """Look a gate up by id; the error lists what exists."""
    for entry in GATES:
        if entry.gate_id == gate_id:
            return entry
    raise UsageError(
        "5B.GATES.UNKNOWN_GATE",
        f"there is no gate {gate_id!r}",
        expected=", ".join(entry.gate_id for entry in GATES),
        found=gate_id,
        next_step="segment5b score RUN",
    )
