"""Segment 5A: how a merchant's demand falls on its series, and the surface, expected arrivals per UTC bucket."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segment5b_lib.arrays import F32, F64, Flags
from segment5b_lib.errors import PolicyError
from segment5b_lib.world.cells import Cells
from segment5b_lib.world.footprint import Series
from segment5b_lib.world.merchants import PlannedMerchants
from segment5b_lib.world.randomness import Randomness
from segment5b_lib.world.rhythm import LocalClock, day_of_month, local_clock, public_holidays
from segment5b_lib.world.sites import SiteWeights
from segment5b_lib.world.spec import ScenarioId, WorldSpec


@dataclass(frozen=True, eq=False)
class SeriesDemand:
    """Expected arrivals of each series over the baseline horizon: `volume` sums to the merchant's, 0 where dormant."""

    volume: F64
    dormant: Flags


def build_demand(
    spec: WorldSpec,
    cells: Cells,
    merchants: PlannedMerchants,
    series: Series,
    weights: SiteWeights,
    randomness: Randomness,
) -> SeriesDemand:
    """Mostly where the sites weigh most, partly alike for every site, with log-normal noise.

    A set share of the series is dormant: opened, but without trade in the horizon. Each merchant
    trades in at least one series, and each required zone has one with trade.
    """
    law = spec.demand
    noise = randomness.normals("demand", merchants.ids, np.diff(series.starts))
    even = series.sites / np.add.reduceat(series.sites, series.starts[:-1])[series.merchant]
    spread = (1 - law.even_share) * weights.series_share + law.even_share * even
    pull = spread * np.exp(law.series_sigma * noise)
    dormant = _dormant(spec, cells, merchants, series, pull, randomness)
    pull = np.where(dormant, 0.0, pull)
    total = np.add.reduceat(pull, series.starts[:-1])
    return SeriesDemand(merchants.volume[series.merchant] * pull / total[series.merchant], dormant)


def _dormant(
    spec: WorldSpec, cells: Cells, merchants: PlannedMerchants, series: Series, pull: F64, randomness: Randomness
) -> Flags:
    """Exactly the set share of series: the likelier, the smaller its part of its merchant, and its merchant."""
    law = spec.demand
    total = np.add.reduceat(pull, series.starts[:-1])[series.merchant]
    part = pull / total * np.diff(series.starts)[series.merchant]
    u = randomness.uniforms("dormant", merchants.ids, np.diff(series.starts))
    size = (merchants.volume / merchants.volume.mean())[series.merchant]
    steady = law.dormant_selectivity * np.log(part) + law.dormant_size_selectivity * np.log(size)
    score = -np.log(-np.log(u)) - steady
    score[_never_dormant(spec, cells, series, score)] = -np.inf
    count = round(law.dormant_share * len(series))
    if count > (possible := int(np.isfinite(score).sum())):
        raise PolicyError(
            "5B.WORLD.TOO_MANY_DORMANT",
            "more series are to be dormant than may be",
            where="key demand.dormant_share",
            expected=f"at most {possible / len(series):.4f}",
            found=law.dormant_share,
        )
    dormant = np.zeros(len(series), bool)
    dormant[np.argsort(-score, kind="stable")[:count]] = True
    return dormant


def _never_dormant(spec: WorldSpec, cells: Cells, series: Series, score: F64) -> list[int]:
    """The steadiest own series of each required zone, from merchants without one as long as there are such,
    rarest zone first; then the steadiest series of each merchant that has none yet.
    """
    tzid, own = np.array(cells.tzid)[series.cell], ~cells.is_border[series.cell]
    candidates_of = [np.flatnonzero((tzid == zone) & own) for zone in spec.geography.required_zones]
    kept: list[int] = []
    for in_zone in sorted(candidates_of, key=len):
        free = in_zone[~np.isin(series.merchant[in_zone], series.merchant[kept])]
        candidates = free if len(free) else in_zone
        kept.append(int(candidates[np.argmin(score[candidates])]))
    without = np.setdiff1d(np.arange(len(series.starts) - 1), series.merchant[kept])
    for m in without:
        a, b = series.starts[m], series.starts[m + 1]
        kept.append(int(a + np.argmin(score[a:b])))
    return kept


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
        country, days = self.cells.country[self.series.cell[s]], self._clock(s).day
        days_off = public_holidays(country, self.spec.horizon)
        return np.zeros(len(days), bool) if days_off is None else np.isin(days, days_off)

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
