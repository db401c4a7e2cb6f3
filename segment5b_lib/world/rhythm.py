"""Local rhythm: the shape of each merchant's week, and which quarter of it and which day a zone's clock shows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import holidays
import numpy as np

from segment5b_lib.arrays import F64, I64
from segment5b_lib.civil_time.tzif import read_zone
from segment5b_lib.world.merchants import PlannedMerchants
from segment5b_lib.world.randomness import Randomness
from segment5b_lib.world.spec import QUARTER_SECONDS, HorizonSpec, Rhythm, WorldSpec

QUARTERS_PER_DAY = 86_400 // QUARTER_SECONDS
QUARTERS_PER_WEEK = 7 * QUARTERS_PER_DAY
_PER_HOUR = 3600 // QUARTER_SECONDS
_THURSDAY = 3
_EPOCH_DAY = date(1970, 1, 1).toordinal()


def build_weeks(spec: WorldSpec, merchants: PlannedMerchants, randomness: Randomness) -> F64:
    """Relative intensity of a bucket, [merchant, quarter of the local week in which it starts], zero where closed."""
    weeks = np.stack(
        [
            week_of(spec.rhythms[entry.demand_class], randomness.generator("rhythm", int(merchant)).uniform(-1, 1, 3))
            for merchant, entry in zip(merchants.ids, merchants.category, strict=True)
        ]
    )
    quarters = spec.horizon.bucket_seconds // QUARTER_SECONDS
    ahead = (np.arange(QUARTERS_PER_WEEK)[:, None] + np.arange(quarters)) % QUARTERS_PER_WEEK
    means: F64 = weeks[:, ahead].mean(axis=2)
    return means


def week_of(rhythm: Rhythm, shift: F64) -> F64:
    """Intensity of each quarter of the week, for one merchant.

    `shift` holds three numbers of [-1, 1]: how far this merchant's opening, closing and rush hours lie from
    its class's, in units of the class's jitter. Hours past midnight belong to the day that opened.
    """
    moved = np.rint(shift * rhythm.jitter_hours * _PER_HOUR).astype(np.int64)
    first = round(rhythm.open * _PER_HOUR) + int(moved[0])
    last = min(round(rhythm.close * _PER_HOUR) + int(moved[1]), first + QUARTERS_PER_DAY)
    quarters = np.arange(first, max(last, first + _PER_HOUR))
    hour = (quarters + 0.5 - int(moved[2])) / _PER_HOUR
    curve = np.full(len(hour), rhythm.base)
    for bump in rhythm.bumps:  # bell curves on the circle of the day
        apart = (hour - bump.hour + 12) % 24 - 12
        curve += bump.height * np.exp(-0.5 * (apart / bump.width) ** 2)
    week = np.zeros(QUARTERS_PER_WEEK)
    for day, factor in enumerate(rhythm.days):
        week[(quarters + day * QUARTERS_PER_DAY) % QUARTERS_PER_WEEK] += factor * curve
    return week


@dataclass(frozen=True, eq=False)
class LocalClock:
    """What one zone's clock shows at the start of each UTC bucket, by the pinned database.

    `quarter` is that of the week, from Monday 00:00; `day` counts local days since 1970-01-01.
    """

    quarter: I64
    day: I64


def local_clock(tzid: str, horizon: HorizonSpec) -> LocalClock:
    utc = np.arange(horizon.start_second, horizon.end_second, horizon.bucket_seconds)
    seconds, minutes = read_zone(tzid)
    offset = minutes[np.searchsorted(seconds, utc, side="right") - 1].astype(np.int64) * 60
    quarters = (utc + offset) // QUARTER_SECONDS
    return LocalClock((quarters + _THURSDAY * QUARTERS_PER_DAY) % QUARTERS_PER_WEEK, quarters // QUARTERS_PER_DAY)


@lru_cache(maxsize=1024)
def public_holidays(country: str, horizon: HorizonSpec) -> I64 | None:
    """Public holidays as days since 1970-01-01, ascending; None where the package has no such calendar."""
    try:
        calendar = holidays.country_holidays(country, years=range(horizon.start.year - 1, horizon.end.year + 1))
    except NotImplementedError:  # the package's word for a country that it has no calendar of
        return None
    return np.array(sorted(day.toordinal() - _EPOCH_DAY for day in calendar), np.int64)


def without_calendar(countries: Iterable[str], horizon: HorizonSpec) -> list[str]:
    """Countries whose holidays the package does not know; their series have none."""
    return sorted(code for code in set(countries) if public_holidays(code, horizon) is None)


def day_of_month(days: I64) -> I64:
    """Calendar day (1..31) of days since 1970-01-01."""
    dates = days.astype("datetime64[D]")
    first = dates.astype("datetime64[M]").astype("datetime64[D]")
    number: I64 = (dates - first).astype(np.int64) + 1
    return number
