"""Segment 5A: the intensity surface, expected arrivals per series and UTC bucket."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segment5b_lib.arrays import F32, F64, Flags
from segment5b_lib.world.cells import Cells
from segment5b_lib.world.demand import SeriesDemand
from segment5b_lib.world.footprint import Series
from segment5b_lib.world.merchants import PlannedMerchants
from segment5b_lib.world.rhythm import LocalClock, day_of_month, is_holiday, local_clock
from segment5b_lib.world.spec import ScenarioId, WorldSpec


@dataclass(frozen=True, eq=False)
class WorldSurface:
    """The parts that an intensity is multiplied from; slabs of it are made when they are asked for.

    lambda[s, b] = volume[s] · week[merchant, quarter(zone, b)] · overlay[s, b] / (sum over the baseline), so
    that a series' baseline sums to its volume and a stress scenario stands on the same base.
    """

    spec: WorldSpec
    cells: Cells
    merchants: PlannedMerchants
    series: Series
    demand: SeriesDemand
    weeks: F64
    clocks: dict[str, LocalClock]

    def slab(self, start: int, stop: int, scenario: ScenarioId) -> tuple[F32, F32]:
        """Intensity (arrivals per bucket) and overlay factor of series [start, stop)."""
        buckets = self.spec.horizon.buckets
        intensity, overlay = np.empty((stop - start, buckets)), np.empty((stop - start, buckets))
        for row, s in enumerate(range(start, stop)):
            week = self.weeks[self.series.merchant[s]][self._clock(s).quarter]
            rhythm = self.spec.rhythms[self.merchants.category[self.series.merchant[s]].demand_class]
            holiday = np.where(self._on_holiday(s), rhythm.holiday, 1.0)
            base = week * holiday
            overlay[row] = holiday * self._surge(s, scenario)
            intensity[row] = self.demand.volume[s] / base.sum() * week * overlay[row]
        return intensity.astype(np.float32), overlay.astype(np.float32)

    def _clock(self, s: int) -> LocalClock:
        return self.clocks[self.cells.tzid[self.series.cell[s]]]

    def _on_holiday(self, s: int) -> Flags:
        return is_holiday(self.cells.country[self.series.cell[s]], self._clock(s).day, self.spec.horizon)

    def _surge(self, s: int, scenario: ScenarioId) -> F64:
        """Factor of the stress scenario: the larger of the holiday's and the pay day's."""
        if scenario == "baseline_v1":
            return np.ones(self.spec.horizon.buckets)
        law = self.spec.stress
        pay_day = np.isin(day_of_month(self._clock(s).day), law.pay_days)
        return np.maximum(
            np.where(self._on_holiday(s), law.holiday_surge, 1.0), np.where(pay_day, law.pay_day_surge, 1.0)
        )


def build_surface(
    spec: WorldSpec, cells: Cells, merchants: PlannedMerchants, series: Series, demand: SeriesDemand, weeks: F64
) -> WorldSurface:
    """The surface of a world; local phase comes from the pinned database, whatever 2A's cache holds."""
    clocks = {tzid: local_clock(tzid, spec.horizon) for tzid in sorted(set(cells.tzid))}
    return WorldSurface(spec, cells, merchants, series, demand, weeks, clocks)
