"""Opening hours and weekly rhythm: the shape of each merchant's week on the local clock."""

from __future__ import annotations

import numpy as np

from segment5b_lib.arrays import F64
from segment5b_lib.world.merchants import PlannedMerchants
from segment5b_lib.world.randomness import Randomness
from segment5b_lib.world.spec import QUARTER_SECONDS, Rhythm, WorldSpec

QUARTERS_PER_DAY = 86_400 // QUARTER_SECONDS
QUARTERS_PER_WEEK = 7 * QUARTERS_PER_DAY
_PER_HOUR = 3600 // QUARTER_SECONDS


def build_weeks(spec: WorldSpec, merchants: PlannedMerchants, randomness: Randomness) -> F64:
    """Relative intensity of a bucket that starts in a given quarter of the local week.

    Returns
    -------
    ndarray(float64, ndim=2), [merchant, quarter of the week from Monday 00:00], zero where closed
    """
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
    curve = _curve(rhythm, (quarters + 0.5 - int(moved[2])) / _PER_HOUR)
    week = np.zeros(QUARTERS_PER_WEEK)
    for day, factor in enumerate(rhythm.days):
        week[(quarters + day * QUARTERS_PER_DAY) % QUARTERS_PER_WEEK] += factor * curve
    return week


def _curve(rhythm: Rhythm, hour: F64) -> F64:
    """Base plus a bell curve per rush, on the circle of the day."""
    curve = np.full(len(hour), rhythm.base)
    for bump in rhythm.bumps:
        apart = (hour - bump.hour + 12) % 24 - 12
        curve += bump.height * np.exp(-0.5 * (apart / bump.width) ** 2)
    return curve
