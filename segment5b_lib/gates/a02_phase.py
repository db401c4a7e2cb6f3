"""A2: an arrival happens in the zone whose clock its intensity was built on.

A2: share of physical arrivals at a site of their own merchant whose site lies in the row's zone.
A2.profile: per zone with `phase_min_arrivals` physical arrivals (the others pooled), the mean over 24 local hours of
|observed share − share that the zone's own λ_realised predicts|, percentage points, by the oracle's clock; the value is
the largest that is more than `phase_law_factor` times what the count law makes it, and 0 where none is.
Physical arrivals only: a virtual one happens in its edge's zone, whatever its row's.

Thresholds: validation_policy_5B.yaml, gates.A2, gates.A2_profile.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import polars as pl

from segment5b_lib.arrays import F64
from segment5b_lib.contract.verdicts import Measurement, not_measured, without_power
from segment5b_lib.gates.evidence.census import NO_HOUR
from segment5b_lib.gates.evidence.clock import ExpectedClock
from segment5b_lib.gates.evidence.run_tables import Evidence
from segment5b_lib.gates.gate import ARRIVALS, COUNTS, Gate, Group
from segment5b_lib.kernel.tally_tables import IN_ROW_ZONE, PLACED

POOLED = "(pooled)"
_MEAN_OF_ABSOLUTE_NORMAL = math.sqrt(2 / math.pi)
_LISTED = 20


def measure(evidence: Evidence) -> Measurement:
    if evidence.sites.is_empty():
        return not_measured("the world has no sites", "physical arrivals")
    placed, coherent = (int(evidence.arrival_totals[index]) for index in (PLACED, IN_ROW_ZONE))
    unit = "physical arrivals at a known site"
    if placed == 0:
        return without_power(None, 0, unit, {}, "physical arrivals at sites that the world has")
    return Measurement(coherent / placed, placed, unit, {"in_row_zone": coherent})


def measure_profile(evidence: Evidence) -> Measurement:
    policy = evidence.policy.audit
    if not evidence.physical_shares:
        return not_measured("3B classifies no merchant", "physical arrivals")
    zones = profile_distances(evidence)
    judged = zones.filter(pl.col("arrivals") >= policy.phase_min_arrivals)
    population = int(judged["arrivals"].sum())
    detail = {"zones": zones.sort("mae_pp", descending=True).head(_LISTED).to_dicts()}
    if judged.is_empty():
        needed = f"{policy.phase_min_arrivals:,} physical arrivals in one zone, or in all zones together"
        return without_power(None, population, "physical arrivals", detail, needed)
    beyond = judged.filter(pl.col("mae_pp") > policy.phase_law_factor * pl.col("law_pp"))
    value = float(beyond.select(pl.col("mae_pp").max()).item() or 0.0)
    return Measurement(value, population, "physical arrivals", {**detail, "zones_beyond_the_law": beyond.height})


def profile_distances(evidence: Evidence) -> pl.DataFrame:
    """tzid, arrivals (physical, observed), mae_pp, law_pp (what the count law makes mae_pp on average); per zone.

    Zones with fewer than `phase_min_arrivals` arrivals are one row, POOLED.
    """
    observed = _observed(evidence)
    predicted = [_predicted(evidence, f"physical_{name}") for name in ("intensity", "variance", "mean")]
    zones = sorted({*observed, *predicted[0]})
    least = evidence.policy.audit.phase_min_arrivals
    large = [tzid for tzid in zones if tzid in observed and observed[tzid].sum() >= least]
    groups = {tzid: [tzid] for tzid in large} | {POOLED: [tzid for tzid in zones if tzid not in large]}
    rows = []
    for name, members in groups.items():
        sums = [_added(table, members) for table in (observed, *predicted)]
        rows.append({"tzid": name, "arrivals": int(sums[0].sum()), **_distance(*sums)})
    schema = {"tzid": pl.String, "arrivals": pl.Int64, "mae_pp": pl.Float64, "law_pp": pl.Float64}
    return pl.DataFrame([row for row in rows if row["arrivals"]], schema=schema)


Hours = dict[str, F64]


def _added(table: Hours, members: list[str]) -> F64:
    return np.asarray(np.sum([np.zeros(24), *(table[tzid] for tzid in members if tzid in table)], axis=0))


def _observed(evidence: Evidence) -> Hours:
    """Physical arrivals of every zone by true local hour, float64 [24]."""
    rows = evidence.census.filter(~pl.col("is_virtual") & (pl.col("expected_hour") != NO_HOUR))
    counted = rows.group_by("tzid", hour=pl.col("expected_hour") % 24).agg(pl.col("arrivals").sum())
    observed: Hours = {}
    for tzid, hour, arrivals in counted.iter_rows():
        observed.setdefault(tzid, np.zeros(24))[hour] = arrivals
    return observed


def _predicted(evidence: Evidence, column: str) -> Hours:
    """A column of `evidence.zone_buckets`, by zone and true local hour, over all scenarios."""
    predicted: Hours = {}
    for (scenario_id, tzid), rows in evidence.zone_buckets.group_by("scenario_id", "tzid", maintain_order=True):
        values = rows.sort("bucket_index")[column].fill_null(0.0).to_numpy()
        hours = _by_hour(values, evidence.clocks[str(scenario_id)], str(tzid))
        predicted[str(tzid)] = predicted.get(str(tzid), np.zeros(24)) + hours
    return predicted


def _by_hour(per_bucket: F64, clock: ExpectedClock, tzid: str) -> F64:
    cells = np.arange(clock.start, clock.end, clock.cell_seconds)
    hours = (cells + clock.zones[tzid].at(cells)) // 3600 % 24
    parts = clock.bucket_seconds // clock.cell_seconds
    return np.asarray(np.bincount(hours, np.repeat(per_bucket / parts, parts), 24), np.float64)


def _distance(observed: F64, intensity: F64, variance: F64, mean: F64) -> dict[str, float]:
    """mae_pp and law_pp of one zone. A share n_h/n varies by (1 − p)²V_h + p²(V − V_h), over n² (delta method)."""
    share = intensity / intensity.sum() if intensity.sum() else np.zeros(24)
    arrivals = max(observed.sum(), 1.0)
    # A zone that got more or fewer arrivals than its own rows make varies by as much more or less.
    scale = arrivals / mean.sum() if mean.sum() else 1.0
    spread = scale * ((1 - share) ** 2 * variance + share**2 * (variance.sum() - variance)) / arrivals**2
    law = _MEAN_OF_ABSOLUTE_NORMAL * np.sqrt(spread).mean()
    return {"mae_pp": 100 * float(np.abs(observed / arrivals - share).mean()), "law_pp": 100 * float(law)}


GATES: Final = (
    Gate(
        gate_id="A2",
        title="Site in the row's zone",
        unit="share",
        formula="physical arrivals whose site lies in the zone of their row, over those at a site of their merchant",
        evidence=("site_timezones", ARRIVALS),
        owner="S4 routing",
        group=Group.AUDIT,
        measure=measure,
        power="no physical arrival is at a site of its merchant",
    ),
    Gate(
        gate_id="A2.profile",
        title="Local rhythm kept",
        unit="pp",
        formula="largest hour-profile MAE of a zone's physical arrivals against its own lambda_realised "
        "that the count law does not explain",
        evidence=("virtual_classification_3B", "s2_realised_intensity_5B", COUNTS, ARRIVALS),
        owner="S4 routing",
        group=Group.AUDIT,
        measure=measure_profile,
        power="no zone, and not all zones together, has phase_min_arrivals physical arrivals",
    ),
)
