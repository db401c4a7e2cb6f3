"""Civil time of S4: the sealed transition cache, the horizon guard, and the table of UTC offsets by zone and bucket.

Each arrival looks its offset up in that table: `kernel.offsets.offset_at`.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from segment5b_lib.civil_time.cache import TzCache, decode
from segment5b_lib.civil_time.horizon import Shortfall, shortfalls
from segment5b_lib.contract.policies import RoutingPolicy
from segment5b_lib.contract.units import SECOND_US
from segment5b_lib.errors import InputError, StateError
from segment5b_lib.identity import utc_text
from segment5b_lib.kernel.arrival_tables import Grid
from segment5b_lib.kernel.offsets import OffsetTable, offset_table
from segment5b_lib.store.worlds import World

_SHOWN: Final = 8


def load_cache(world: World) -> TzCache:
    path = world.files("tz_timetable_cache")[0]
    return decode(path.read_bytes(), str(path))


def check_zones(cache: TzCache, zones: tuple[str, ...], policy: RoutingPolicy) -> None:
    """Every zone that an arrival can be in must be in the cache (``5B.S4.ZONE_MISSING_IN_CACHE``)."""
    missing = [zone for zone in zones if cache.zone(zone) is None]
    if missing and policy.fail_closed_rules.zone_missing_in_cache == "error":
        raise InputError(
            "5B.S4.ZONE_MISSING_IN_CACHE",
            "the transition cache does not have a zone that arrivals lie in",
            where=f"tz_timetable_cache, tzid {missing[0]}",
            expected=f"{len(zones)} zones",
            found=f"{len(missing)} missing: {', '.join(missing[:_SHOWN])}",
            next_step="segment5b world reopen --segment 2A",
        )


def guard_horizon(
    cache: TzCache, zones: tuple[str, ...], grid: Grid, buckets: int, policy: RoutingPolicy
) -> list[Shortfall]:
    """Zones whose cached offsets are wrong somewhere in [start, end) of the horizon.

    Raises
    ------
    StateError : ``5B.S4.HORIZON_SHORT`` if there is one and `horizon_guard` is `fail`
    """
    start = grid.start_us // SECOND_US
    short = shortfalls(cache, zones, start, start + buckets * grid.bucket_us // SECOND_US, margin=0)
    if short and policy.horizon_guard == "fail":
        listed = "; ".join(f"{s.tzid} from {utc_text(s.utc_second)}" for s in short[:_SHOWN])
        raise StateError(
            "5B.S4.HORIZON_SHORT",
            "the transition cache ends before the horizon does",
            where="tz_timetable_cache",
            expected="the database's offsets over the whole horizon, for every active zone",
            found=f"{len(short)} of {len(zones)} zones fall short: {listed}{' …' if len(short) > _SHOWN else ''}",
            next_step="segment5b world reopen --segment 2A --set last_transition_year=2028",
        )
    return short


def zone_offsets(
    cache: TzCache, zones: tuple[str, ...], active: tuple[str, ...], grid: Grid, buckets: int
) -> OffsetTable:
    """Cached offsets by zone code and bucket. A zone that is not active has an impossible offset."""
    steps = [step for step in map(cache.zone, active) if step is not None]
    assert len(steps) == len(active), "check_zones comes first"
    table = offset_table(
        np.cumsum([0, *(step.utc_seconds.size for step in steps)], dtype=np.int64),
        np.concatenate([np.empty(0, np.int64), *(step.utc_seconds for step in steps)]),
        np.concatenate([np.empty(0, np.int32), *(step.offset_minutes for step in steps)]),
        horizon_start=grid.start_us // SECOND_US,
        bucket_seconds=grid.bucket_us // SECOND_US,
        buckets=buckets,
    )
    at_start = np.full((len(zones), buckets), np.iinfo(np.int32).min, np.int32)
    at_start[np.searchsorted(zones, active)] = table.at_start
    return table._replace(at_start=at_start)
