"""The gates as data: what each one measures, in which unit, from which evidence, against which policy keys.

Thresholds and severity are not here: they stand in `validation_policy_5B` under the key that a gate names,
and every result says which file, key and value it was judged by. The order is the order of scoring: the clock
and conservation first, calibration after them, then the audit.
"""

from __future__ import annotations

from typing import Final

from segment5b_lib.contract.words import STATES
from segment5b_lib.errors import UsageError
from segment5b_lib.gates.gate import Gate

_ARRIVALS = "arrival_events_5B"
_COUNTS = "s3_bucket_counts_5B"
_ZONES = ("site_timezones", "edge_catalogue_3B", "virtual_settlement_3B")

GATES: Final[tuple[Gate, ...]] = (
    Gate(
        "T11",
        "Transition horizon",
        "share",
        "active tzids whose cached transitions equal the pinned database from the horizon's start to its end "
        "plus the margin, and a declared horizon not before the scenario's end",
        "T11",
        ("tz_timetable_cache", *_ZONES),
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
        (*_ZONES, _ARRIVALS),
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
        ("virtual_classification_3B", _ARRIVALS),
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
    Gate(
        "A1",
        "Streams used once",
        "blocks",
        "random blocks (key, counter) used more than once, and sampled draws that are not their stream's",
        "A1",
        ("s1_grouping_5B", _COUNTS, _ARRIVALS),
        "S4 streams",
        "no series is small enough to be traced draw by draw",
    ),
    Gate(
        "A1.duplicates",
        "Equal timestamps of a merchant",
        "p",
        "Poisson chance of as many pairs at one microsecond, given sum n(n-1)/2D over a merchant's buckets",
        "A1_duplicates",
        (_ARRIVALS,),
        "S4 streams",
        "no merchant has two arrivals in one bucket",
    ),
    Gate(
        "A1.offsets",
        "Neighbouring offsets independent",
        "p",
        "chi-square of the offsets of draw 0 in neighbouring buckets of a series that hold one arrival each",
        "A1_offsets",
        (_COUNTS, _ARRIVALS),
        "S4 streams",
        "fewer pairs of buckets than min_expected in each of 256 cells",
    ),
    Gate(
        "A2",
        "Site in the row's zone",
        "share",
        "physical arrivals whose site lies in the zone of their row, over those at a site of their merchant",
        "A2",
        ("site_timezones", _ARRIVALS),
        "S4 routing",
        "no physical arrival is at a site of its merchant",
    ),
    Gate(
        "A2.profile",
        "Local rhythm kept",
        "pp",
        "largest hour-profile MAE of a zone's physical arrivals against its own lambda_realised that the count law "
        "does not explain",
        "A2_profile",
        ("virtual_classification_3B", "s2_realised_intensity_5B", _COUNTS, _ARRIVALS),
        "S4 routing",
        "no zone, and not all zones together, has phase_min_arrivals physical arrivals",
    ),
    Gate(
        "A3",
        "Count law",
        "p",
        "KS of the randomised PIT of sampled counts against the policy's law",
        "A3",
        (_COUNTS,),
        "S3",
        "fewer than min_rows rows with mu above lambda_zero_eps",
    ),
    Gate(
        "A4",
        "Routing law",
        "p",
        "chi-square of arrivals per site and edge against exact weights, given the totals of their groups",
        "A4",
        ("site_timezones", "s1_site_weights", "edge_catalogue_3B", _ARRIVALS),
        "S4 routing",
        "no group has two places that expect min_expected arrivals",
    ),
    Gate(
        "A5",
        "Offsets uniform",
        "p",
        "KS of the offsets of arrivals within their buckets",
        "A5",
        (_ARRIVALS,),
        "S4",
        "fewer than min_rows arrivals in their buckets",
    ),
    Gate(
        "A5.window",
        "Timestamps in their buckets",
        "rows",
        "arrivals whose ts_utc lies outside the [start, end) of their bucket",
        "A5_window",
        (_ARRIVALS,),
        "S4",
    ),
    Gate(
        "A5.order",
        "Arrivals in order",
        "rows",
        "arrivals that do not follow the one before by (merchant_id, ts_utc, arrival_seq)",
        "A5_order",
        (_ARRIVALS,),
        "S4",
    ),
)
"""What one scorecard holds: measured on one run, in one pass."""

EVIDENCE: Final = tuple(sorted({name for entry in GATES for name in entry.evidence}))
"""Every dataset that one scorecard rests on."""

DEMANDED: Final[tuple[Gate, ...]] = (
    Gate(
        "T10",
        "Stability across seeds",
        "cv",
        "largest coefficient of variation (ddof 1) of the key metrics T1, T2, T6, T7, T9 and the weekend share",
        "T10",
        (_ARRIVALS,),
        "S2",
    ),
    Gate(
        "A6",
        "Replay",
        "columns",
        "columns of part files that a second execution, in another process and with other threads, writes differently",
        "A6",
        (_ARRIVALS,),
        "S4",
    ),
    *(
        Gate(
            f"R-{state}",
            f"Runtime of {state}",
            "s",
            f"median over repetitions of the wall time of {state}; GREEN up to the target",
            "",
            ("segment_state_runs",),
            state,
            "fewer repetitions than min_runs, unless one run takes longer than long_run_s",
        )
        for state in STATES[1:]
    ),
    *(
        Gate(
            f"R-{lane}",
            f"Runtime of the {lane} lane",
            "s",
            f"wall time of the {lane} lane, changed state onward on {seeds}; GREEN up to the target",
            "",
            ("segment_state_runs",),
            "S4",
            "fewer repetitions than min_runs, unless one lane takes longer than long_run_s",
        )
        for lane, seeds in (("candidate", "one seed"), ("witness", "two seeds"), ("certification", "four seeds"))
    ),
)
"""What takes several runs or another execution: measured when a phase asks for it."""


def gate(gate_id: str) -> Gate:
    """Look a gate up by id; the error lists what exists."""
    for entry in (*GATES, *DEMANDED):
        if entry.gate_id == gate_id:
            return entry
    raise UsageError(
        "5B.GATES.UNKNOWN_GATE",
        f"there is no gate {gate_id!r}",
        expected=", ".join(entry.gate_id for entry in (*GATES, *DEMANDED)),
        found=gate_id,
        next_step="segment5b score RUN",
    )
