"""A merchant's zones: tables that draw one by 2B's shares per UTC day, and the tilt of either shares or intensities.

The tilt of a zone with score s is exp(−η·s): of the shares under `concentration_temper`, of the intensities, whose
total per merchant is kept, under `zone_mix`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import polars as pl

from segment5b_lib.arrays import F64, I32, U64, Flags
from segment5b_lib.contract.policies import FailClosedRules, ZoneTilt
from segment5b_lib.contract.units import DAY_US
from segment5b_lib.errors import InputError
from segment5b_lib.kernel.alias import build_alias_slices, picking
from segment5b_lib.kernel.arrival_tables import Grid, ZoneDraws

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def days_of_buckets(grid: Grid, buckets: int) -> tuple[list[str], I32]:
    """UTC days of a horizon as YYYY-MM-DD, and the day of each bucket, which is that of its start."""
    day = (grid.start_us + grid.bucket_us * np.arange(buckets, dtype=np.int64)) // DAY_US
    first = int(day[0])
    names = [f"{_EPOCH + timedelta(days=first + n):%Y-%m-%d}" for n in range(int(day[-1]) - first + 1)]
    return names, (day - first).astype(np.int32)


def no_zone_draws(merchants: int, days: int) -> ZoneDraws:
    """Empty tables, for a binding that draws no zone."""
    start, size = np.zeros((merchants, days), np.int64), np.zeros((merchants, days), np.int32)
    return ZoneDraws(start, size, np.empty(0, np.float64), np.empty(0, np.int32))


def zone_draws(
    weights: pl.DataFrame,
    pools: pl.DataFrame,
    merchants: U64,
    days: list[str],
    busy: Flags,
    tilt: ZoneTilt,
    rules: FailClosedRules,
) -> ZoneDraws:
    """Alias tables over zones (ascending) per merchant and day, p' ∝ p_group · exp(−η·s_zone).

    `weights` has merchant_id, utc_day, tzid, p_group, sorted by its first three columns; `pools` has merchant_id,
    tzid in pool order; `busy` bool [merchant, day] is true where zones will be drawn.

    Raises
    ------
    InputError : ``5B.S4.GROUP_WEIGHTS_MISSING`` where a busy merchant and day have no positive weight
    """
    index_of = pl.DataFrame({"merchant_id": merchants}).with_row_index("m")
    day_of = pl.DataFrame({"utc_day": days}).with_row_index("d")
    rows = (
        weights.join(index_of, on="merchant_id", maintain_order="left")
        .join(day_of, on="utc_day", maintain_order="left")
        .join(pools.with_row_index("pool"), on=["merchant_id", "tzid"], how="left", maintain_order="left")
        .with_columns(weight=_tilted_share(tilt))
        .filter(pl.col("weight").sum().over("m", "d") > 0)
    )
    start, size = np.zeros(busy.shape, np.int64), np.zeros(busy.shape, np.int32)
    tables = rows.group_by("m", "d", maintain_order=True).len()
    at = tables["m"].to_numpy(), tables["d"].to_numpy()
    size[at] = tables["len"].to_numpy()
    ends = np.cumsum(tables["len"].to_numpy(), dtype=np.int64)
    start[at] = ends - tables["len"].to_numpy()
    if rules.group_weights_missing == "error":
        _refuse_missing(busy & (size == 0), merchants, days)
    empty = np.empty(0, np.uint32)
    starts = np.append(np.int64(0), ends)
    tables_of = build_alias_slices(rows["weight"].to_numpy(), starts) if rows.height else (empty, empty)
    return ZoneDraws(start, size, *picking(*tables_of, starts, rows["pool"].cast(pl.Int32).to_numpy()))


def _tilted_share(tilt: ZoneTilt) -> pl.Expr:
    if tilt.mode == "none":
        return pl.col("p_group")
    score = pl.col("tzid").replace_strict(tilt.scores, default=0.0, return_dtype=pl.Float64)
    return pl.col("p_group") * (-tilt.eta * score).exp()


def _refuse_missing(missing: Flags, merchants: U64, days: list[str]) -> None:
    if missing.any():
        m, d = (int(index) for index in np.argwhere(missing)[0])
        raise InputError(
            "5B.S4.GROUP_WEIGHTS_MISSING",
            "a merchant has physical arrivals on a day without zone weights",
            where=f"s4_group_weights, key ({merchants[m]}, {days[d]})",
            expected="rows with a positive p_group",
            found=f"none, for {int(missing.sum())} merchant-days",
            next_step="segment 2B must publish again; or rebuild the world",
        )


def tilt_multipliers(series: pl.DataFrame, totals: F64, tilt: ZoneTilt) -> F64:
    """exp(−η·s_z)·Σλ / Σ(λ·exp(−η·s_z)), sums over the merchant's series; 1 for a merchant without λ."""
    scores = series["zone_representation"].replace_strict(tilt.scores, default=0.0, return_dtype=pl.Float64)
    weight = np.exp(-tilt.eta * scores.to_numpy())
    frame = series.select("merchant_id").with_columns(before=pl.Series(totals), after=pl.Series(totals * weight))
    kept = frame.select(pl.col("before", "after").sum().over("merchant_id"))
    before, after = kept["before"].to_numpy(), kept["after"].to_numpy()
    multipliers: F64 = np.where(after > 0, weight * before / np.where(after > 0, after, 1.0), 1.0)
    return multipliers
