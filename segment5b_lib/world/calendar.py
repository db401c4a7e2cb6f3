"""Local calendars: which quarter of its week, and which day, a zone's clock shows at each UTC bucket."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import holidays
import numpy as np
import numpy.typing as npt

from segment5b_lib.arrays import I64
from segment5b_lib.civil_time.tzif import read_zone
from segment5b_lib.world.rhythm import QUARTERS_PER_DAY, QUARTERS_PER_WEEK
from segment5b_lib.world.spec import QUARTER_SECONDS, HorizonSpec

_THURSDAY = 3
_EPOCH_DAY = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, eq=False)
class LocalClock:
    """What one zone's clock shows at the start of each UTC bucket, by the pinned database.

    Attributes
    ----------
    quarter : ndarray(int64, ndim=1), quarter of the week from Monday 00:00
    day : ndarray(int64, ndim=1), local days since 1970-01-01
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
def public_holidays(country: str, first_year: int, last_year: int) -> I64 | None:
    """Public holidays as days since 1970-01-01, ascending; None where the package has no such calendar."""
    try:
        calendar = holidays.country_holidays(country, years=range(first_year, last_year + 1))
    except NotImplementedError:  # the package's word for a country that it has no calendar of
        return None
    return np.array(sorted(day.toordinal() - _EPOCH_DAY for day in calendar), np.int64)


def is_holiday(country: str, days: I64, horizon: HorizonSpec) -> npt.NDArray[np.bool_]:
    days_off = public_holidays(country, horizon.start.year - 1, horizon.end.year)
    return np.zeros(len(days), bool) if days_off is None else np.isin(days, days_off)


def without_calendar(countries: Iterable[str], horizon: HorizonSpec) -> list[str]:
    """Countries whose holidays the package does not know; their series have none."""
    years = (horizon.start.year - 1, horizon.end.year)
    return sorted(code for code in set(countries) if public_holidays(code, *years) is None)


def day_of_month(days: I64) -> I64:
    """Calendar day (1..31) of days since 1970-01-01."""
    dates = days.astype("datetime64[D]")
    first = dates.astype("datetime64[M]").astype("datetime64[D]")
    number: I64 = (dates - first).astype(np.int64) + 1
    return number
