"""Errors of local times: by size, by date and zone, and by time since each zone's change of offset."""

from __future__ import annotations

from typing import Final

import polars as pl

from segment5b_lib.contract.units import DAY_S
from segment5b_lib.gates.evidence.run_tables import Evidence
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.gates.t01_civil_time import WRONG
from segment5b_lib.gates.t03_dst_windows import transitions

_ZONES_SHOWN: Final = 40
_NO_ZONE: Final = "(no zone)"


def offset_distribution(evidence: Evidence) -> pl.DataFrame:
    """Arrivals by the error of their primary local time.

    Returns `offset_seconds` (stored minus expected; null if the error is no multiple of a quarter of an
    hour), `arrivals`, `share` (fraction of all), ascending, nulls last.

    Example: `views.offset_distribution(evidence)`
    """
    return (
        evidence.census.group_by(pl.col("error_seconds").alias("offset_seconds"))
        .agg(pl.col("arrivals").sum())
        .with_columns(share=pl.col("arrivals") / pl.col("arrivals").sum())
        .sort("offset_seconds", nulls_last=True)
    )


def mismatch_by_date_and_zone(evidence: Evidence) -> pl.DataFrame:
    """Wrong clocks by UTC date and zone: the forty zones with most of them, and the sum of the others.

    Returns `date` (text), `tzid`, `arrivals`, `mismatches`, `rate` (0..1). Zones are ordered by the first
    date on which their clock is wrong; those that are always right follow, the sum of the others is last.

    Example: `views.mismatch_by_date_and_zone(evidence)`
    """
    daily = (
        evidence.census.group_by(
            pl.col("tzid").fill_null(_NO_ZONE),
            pl.from_epoch("second", time_unit="s").dt.date().cast(pl.String).alias("date"),
        )
        .agg(pl.col("arrivals").sum(), pl.col("arrivals").filter(WRONG).sum().alias("mismatches"))
        .sort("tzid", "date")
    )
    zones = daily.group_by("tzid").agg(
        pl.col("mismatches").sum(),
        pl.col("arrivals").sum(),
        pl.col("date").filter(pl.col("mismatches") > 0).min().alias("first_wrong"),
    )
    shown = zones.sort(["mismatches", "arrivals", "tzid"], descending=[True, True, False]).head(_ZONES_SHOWN)
    others = f"{zones.height - shown.height} other zones"
    named = (
        daily.join(shown.select("tzid", "first_wrong"), on="tzid", how="left")
        .with_columns(kept=pl.col("tzid").is_in(shown["tzid"].implode()))
        .with_columns(tzid=pl.when("kept").then("tzid").otherwise(pl.lit(others)))
    )
    return (
        named.group_by("date", "tzid", "kept", "first_wrong")
        .agg(pl.col("arrivals").sum(), pl.col("mismatches").sum())
        .sort(
            ["kept", "first_wrong", "tzid", "date"],
            descending=[True, False, False, False],
            nulls_last=[False, True, False, False],
        )
        .select("date", "tzid", "arrivals", "mismatches", rate=pl.col("mismatches") / pl.col("arrivals"))
    )


def dst_windows(scorecard: Scorecard) -> pl.DataFrame:
    """T3's windows: one row per zone and change of offset in the horizon.

    Returns `tzid`, `transition` (UTC, text), `support` (arrivals), `mae_pp` (percentage points), `kind` (`can fail`;
    `cannot fail`, if even a shift of an hour would stay below twice the threshold; `thin`), `b`, `bplus` (pp).

    Example: `views.dst_windows(scorecard)`
    """
    result = scorecard.result("T3")
    limits = {threshold.level: threshold.value for threshold in result.thresholds}
    schema = {"tzid": pl.String, "transition": pl.String, "support": pl.Int64, "mae_pp": pl.Float64}
    frame = pl.DataFrame(result.detail.get("by_window", []), schema_overrides=schema, infer_schema_length=None)
    if frame.is_empty():
        return pl.DataFrame(schema={**schema, "kind": pl.String, "b": pl.Float64, "bplus": pl.Float64})
    kind = pl.when("thin").then(pl.lit("thin")).when("cannot_fail").then(pl.lit("cannot fail"))
    return frame.select(
        *schema, kind.otherwise(pl.lit("can fail")).alias("kind"), b=pl.lit(limits["b"]), bplus=pl.lit(limits["bplus"])
    )


def days_since_transition(evidence: Evidence) -> pl.DataFrame:
    """Wrong clocks of the zones that change their offset, by whole days since the latest change.

    An arrival belongs to the latest change before it, or, before any, to the zone's first (then `day` is
    negative). Returns `day`, `change` (direction: forward, back, or returned to the offset of the horizon's start),
    `arrivals`, `mismatches`, `rate`.

    Example: `views.days_since_transition(evidence)`
    """
    changes = _named(transitions(evidence)).sort("transition")
    first = changes.group_by("scenario_id", "tzid", maintain_order=True).first()
    exposed = evidence.census.join(first, on=["scenario_id", "tzid"], suffix="_first").sort("second")
    dated = exposed.join_asof(
        changes,
        left_on="second",
        right_on="transition",
        by=["scenario_id", "tzid"],
        strategy="backward",
        suffix="_latest",
        check_sortedness=False,
    ).with_columns(
        transition=pl.coalesce("transition_latest", "transition"), change=pl.coalesce("change_latest", "change")
    )
    return (
        dated.group_by((pl.col("second") - pl.col("transition")).floordiv(DAY_S).alias("day"), "change")
        .agg(pl.col("arrivals").sum(), pl.col("arrivals").filter(WRONG).sum().alias("mismatches"))
        .with_columns(rate=pl.col("mismatches") / pl.col("arrivals"))
        .sort("change", "day")
    )


def _named(changes: pl.DataFrame) -> pl.DataFrame:
    """Direction of each change. After a return even a clock without any change is right again."""
    so_far = pl.col("change_seconds").cum_sum().over(["scenario_id", "tzid"], order_by="transition")
    return changes.with_columns(
        change=pl.when(so_far == 0)
        .then(pl.lit("returned"))
        .when(pl.col("change_seconds") > 0)
        .then(pl.lit("forward"))
        .otherwise(pl.lit("back"))
    )
