"""T3: the local-hour profile in the windows around each change of offset, stored against expected.

Value: percentage points, the support-weighted mean over windows of the mean over 24 local hours of |stored share −
expected share|; population: arrivals in windows with dst_window_min_support rows. Source: plan §3.1.

A window is (scenario, tzid, transition t): [t - w, t + w) cut to the horizon. T3 has little power over a full
population, since an hour's shift of a smooth profile moves 24 bins only slightly; the power of every window
is given with its value.

Thresholds: validation_policy_5B.yaml, gates.T3.
"""

from __future__ import annotations

from typing import Any, Final

import polars as pl

from segment5b_lib.contract.verdicts import Measurement, gate_bound
from segment5b_lib.contract.words import Verdict
from segment5b_lib.gates.evidence.census import NO_HOUR
from segment5b_lib.gates.evidence.run_tables import Evidence
from segment5b_lib.gates.gate import ARRIVALS, ZONE_SOURCES, Gate, Group
from segment5b_lib.identity import utc_text

_HOURS: Final = pl.DataFrame({"hour": range(24)}, schema={"hour": pl.Int16})
_WEEK: Final = 7 * 86_400
_WINDOW_KEY: Final = ("scenario_id", "tzid", "transition")


def measure(evidence: Evidence) -> Measurement:
    exposed = transitions(evidence)
    if exposed.is_empty():
        reason, detail = "no active zone changes its offset within the horizon", {"active_zones": len(_zones(evidence))}
        return Measurement(None, 0, "arrivals in windows", detail, Verdict.NOT_APPLICABLE, reason)
    return _verdict(evidence, windows(evidence, exposed))


def transitions(evidence: Evidence) -> pl.DataFrame:
    """scenario_id, tzid, transition (epoch seconds UTC), change_seconds of every exposed transition."""
    zones = _zones(evidence)
    rows = [
        (name, tzid, int(second), int(after - before))
        for name, clock in evidence.clocks.items()
        for tzid in zones
        if (steps := clock.zones.get(tzid)) is not None
        for second, before, after in zip(
            steps.instants[1:], steps.offset_seconds, steps.offset_seconds[1:], strict=False
        )
    ]
    schema = {"scenario_id": pl.String, "tzid": pl.String, "transition": pl.Int64, "change_seconds": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def windows(evidence: Evidence, exposed: pl.DataFrame) -> pl.DataFrame:
    """One row per exposed transition: support, mae_pp, post_mae_pp, power_pp, profile_mae_pp."""
    half = evidence.policy.civil_time.dst_window_hours * 3600
    inside = _around(evidence.census, exposed, -half, half)
    after = _around(evidence.census, exposed, 0, half)
    week_before = _around(evidence.census, exposed, -half - _WEEK, half - _WEEK)
    support = inside.group_by(_WINDOW_KEY).agg(pl.col("arrivals").sum().alias("support"))
    stored, expected = _profile(inside, "stored_hour"), _profile(inside, "expected_hour")
    # The profile that a clock one hour ahead would give; one hour behind has the same distance.
    shifted = expected.with_columns(hour=(pl.col("hour") + 1) % 24)
    measures = {
        "mae_pp": _distance(stored, expected),
        "post_mae_pp": _distance(_profile(after, "stored_hour"), _profile(after, "expected_hour")),
        "power_pp": _distance(expected, shifted),
        "profile_mae_pp": _distance(stored, _profile(week_before, "stored_hour")),
    }
    result = exposed.join(support, on=_WINDOW_KEY, how="left").with_columns(pl.col("support").fill_null(0))
    for name, table in measures.items():
        result = result.join(table.rename({"distance": name}), on=_WINDOW_KEY, how="left")
    return result.sort("transition", "tzid", "scenario_id")


def _zones(evidence: Evidence) -> list[str]:
    return sorted({*evidence.active_zones, *evidence.census["tzid"].drop_nulls().unique()})


def _around(census: pl.DataFrame, exposed: pl.DataFrame, begin: int, end: int) -> pl.DataFrame:
    """Census rows of each window's zone in [transition + begin, transition + end)."""
    since = pl.col("second") - pl.col("transition")
    known = census.filter(pl.col("tzid").is_in(exposed["tzid"].unique().implode()))
    return known.join(exposed, on=["scenario_id", "tzid"]).filter((since >= begin) & (since < end))


def _profile(rows: pl.DataFrame, hour: str) -> pl.DataFrame:
    """Share of each window's rows in each of 24 local hours; rows without an hour count in the total."""
    total = pl.col("arrivals").sum().over(_WINDOW_KEY)
    shares = rows.with_columns(share=pl.col("arrivals") / total).filter(pl.col(hour) != NO_HOUR)
    bins = shares.group_by(*_WINDOW_KEY, (pl.col(hour) % 24).alias("hour")).agg(pl.col("share").sum())
    every = rows.select(_WINDOW_KEY).unique().join(_HOURS, how="cross")
    return every.join(bins, on=[*_WINDOW_KEY, "hour"], how="left").with_columns(pl.col("share").fill_null(0.0))


def _distance(left: pl.DataFrame, right: pl.DataFrame) -> pl.DataFrame:
    """Mean over the 24 bins of |difference|, percentage points, per window that both sides have."""
    return (
        left.join(right, on=[*_WINDOW_KEY, "hour"])
        .group_by(_WINDOW_KEY)
        .agg(((pl.col("share") - pl.col("share_right")).abs().mean() * 100).alias("distance"))
    )


def _verdict(evidence: Evidence, table: pl.DataFrame) -> Measurement:
    policy = evidence.policy.civil_time
    limit = gate_bound(evidence.policy, "T3", "b").limit.max
    table = table.with_columns(
        thin=pl.col("support") < policy.dst_window_min_support, cannot_fail=pl.col("power_pp") < 2 * (limit or 0)
    )
    used = table.filter(~pl.col("thin"))
    support = int(used["support"].sum())
    enough = used.height >= policy.dst_window_min_exposed_windows and support >= policy.dst_window_min_total_support
    value = float((used["mae_pp"] * used["support"]).sum()) / support if support else None
    ruling, reason = None, ""
    if not enough:
        ruling = Verdict.INSUFFICIENT_POWER
        reason = (
            f"{used.height} windows with support and {support} rows; needs {policy.dst_window_min_exposed_windows} "
            f"windows of {policy.dst_window_min_support} rows and {policy.dst_window_min_total_support} rows in all"
        )
    return Measurement(value, support, "arrivals in windows", _detail(used, table, support), ruling, reason)


def _detail(used: pl.DataFrame, table: pl.DataFrame, support: int) -> dict[str, Any]:
    def weighted(column: str) -> float | None:
        known = used.filter(pl.col(column).is_not_null())
        rows = int(known["support"].sum())
        return float((known[column] * known["support"]).sum()) / rows if rows else None

    return {
        "windows": used.height,
        "thin_windows": int(table["thin"].sum()),
        "windows_that_cannot_fail": int(used["cannot_fail"].sum()),
        "worst_window_pp": used["mae_pp"].max() if support else None,
        "T3.post_pp": weighted("post_mae_pp"),
        "T3.power_pp": weighted("power_pp"),
        "T3.profile_pp": weighted("profile_mae_pp"),
        "by_window": [{**row, "transition": utc_text(row["transition"])} for row in table.to_dicts()],
    }


GATES: Final = (
    Gate(
        gate_id="T3",
        title="DST-window hour profile",
        unit="pp",
        formula="mean over 24 local-hour bins of |stored share - expected share| in the window around a "
        "transition, support-weighted over the windows with enough support",
        evidence=(*ZONE_SOURCES, ARRIVALS),
        owner="S4",
        group=Group.CLOCK,
        measure=measure,
        power="too few windows with support, or too few rows in all windows, although transitions are exposed",
        watched_by_s5=True,
    ),
)
