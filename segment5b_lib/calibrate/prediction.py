"""What a run will measure: T1, T6 and T7 with their sampling errors, before anything is run.

Given λ_realised, counts follow the count law and each arrival is routed by itself. The number of arrivals of a set
of lots that have some property with chance r is therefore Σμr on average, with variance Σ[μr + (μ²/κ)r²]; a share
is a ratio of two such sums, and its error follows by the delta method.

T6 is a sum of the largest of many random totals: it is larger on average than the sum of the largest averages,
the more so the more zones tie at the tenth place. Zone totals are therefore drawn from a normal law with their
exact means and covariances, and T6 is taken of each draw: mean and standard deviation are the estimate.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import polars as pl

from segment5b_lib.arrays import F64
from segment5b_lib.calibrate.demand import ExpectedDemand
from segment5b_lib.calibrate.flows import Block
from segment5b_lib.model.statistics import TOP_ZONES

TOP_TENTH: Final = "T6.top_10_percent"
"""Key of the share of the top 10 % of zones, reported with T6."""
_DRAWS: Final = 4000
"""Normal draws of the zone totals: they add less than 2 % to a standard error."""


@dataclass(frozen=True)
class Estimate:
    """An expected value and the standard deviation of what will be measured around it."""

    value: float
    standard_error: float

    def distance(self, measured: float) -> float:
        """How many standard errors a measured value lies away; 0 where both are exactly what was promised."""
        off = measured - self.value
        return off / self.standard_error if self.standard_error > 0 else math.copysign(math.inf, off) if off else 0.0


@dataclass(frozen=True, eq=False)
class Prediction:
    """Expected gates of a run that need not exist.

    Attributes
    ----------
    basis : which λ it is based on, in words
    arrivals : number of arrivals
    gates : `T1`, `T6`, `T6.top_10_percent` and `T7`, shares of all arrivals
    zones : tzid, arrivals, share, standard_error (of the share), largest first
    mismatches : date (UTC, text), tzid, arrivals, mismatches, rate; only zones whose clock is wrong at some time
    """

    basis: str
    arrivals: Estimate
    gates: dict[str, Estimate]
    zones: pl.DataFrame
    mismatches: pl.DataFrame

    def document(self) -> dict[str, Any]:
        estimates = {"arrivals": self.arrivals, **self.gates}
        listed = {name: {"value": _tidy(e.value), "se": _tidy(e.standard_error)} for name, e in estimates.items()}
        return {"basis": self.basis, **listed}


@dataclass
class _Share:
    """Sums from which the share of arrivals with a property, and its error, follow."""

    mean: float = 0.0
    excess: float = 0.0
    excess_squared: float = 0.0

    def add(self, chance: F64, mean: F64, excess: F64) -> None:
        self.mean += float((mean * chance).sum())
        self.excess += float((excess * chance).sum())
        self.excess_squared += float((excess * chance**2).sum())

    def estimate(self, arrivals: float, excess: float) -> Estimate:
        share = self.mean / arrivals
        poisson = self.mean * (1 - 2 * share) + arrivals * share**2
        beyond = self.excess_squared - 2 * share * self.excess + excess * share**2
        return Estimate(share, math.sqrt(max(poisson + beyond, 0.0)) / arrivals)


@dataclass
class Ledger:
    """Everything that blocks add up to; `zones` are the names behind the positions."""

    zones: tuple[str, ...]
    arrivals: float = 0.0
    excess: float = 0.0
    total: F64 = field(init=False)
    covariance: F64 = field(init=False)
    virtual: _Share = field(default_factory=_Share)
    wrong: _Share = field(default_factory=_Share)
    days: list[pl.DataFrame] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.total = np.zeros(len(self.zones))
        self.covariance = np.zeros((len(self.zones), len(self.zones)))

    def add(self, demand: ExpectedDemand, blocks: Iterable[Block]) -> None:
        """Take one scenario in."""
        landed = np.zeros(demand.wrong.shape)
        for block in blocks:
            wrong = demand.wrong[:, block.span]
            self.arrivals += float(block.mean.sum())
            self.excess += float(block.excess.sum())
            self.covariance += block.to_zone.T @ (block.excess.sum(axis=1)[:, None] * block.to_zone)
            self.virtual.add(block.virtual[:, None], block.mean, block.excess)
            if wrong.any():
                self.wrong.add(block.to_zone @ wrong, block.mean, block.excess)
            landed[:, block.span] += block.to_zone.T @ block.mean
        self.total += landed.sum(axis=1)
        self.days.append(self._mismatches(demand, landed))

    def _mismatches(self, demand: ExpectedDemand, landed: F64) -> pl.DataFrame:
        exposed = np.flatnonzero(demand.wrong.any(axis=1) & (landed.sum(axis=1) > 0))
        frame = pl.DataFrame(
            {
                "date": np.tile(np.array(demand.days)[demand.day], len(exposed)),
                "tzid": np.repeat(np.array(self.zones, dtype=str)[exposed], len(demand.day)),
                "arrivals": landed[exposed].ravel(),
                "mismatches": (landed * demand.wrong)[exposed].ravel(),
            },
            schema={"date": pl.String, "tzid": pl.String, "arrivals": pl.Float64, "mismatches": pl.Float64},
        )
        return frame.group_by("date", "tzid").agg(pl.col("arrivals", "mismatches").sum())

    def prediction(self, basis: str) -> Prediction:
        top, tenth = self._largest()
        gates = {
            "T1": self.wrong.estimate(self.arrivals, self.excess),
            "T6": top,
            TOP_TENTH: tenth,
            "T7": self.virtual.estimate(self.arrivals, self.excess),
        }
        days = pl.concat(self.days).group_by("date", "tzid").agg(pl.col("arrivals", "mismatches").sum())
        return Prediction(
            basis=basis,
            arrivals=Estimate(self.arrivals, math.sqrt(self.arrivals + self.excess)),
            gates=gates,
            zones=self._zones(),
            mismatches=days.with_columns(rate=pl.col("mismatches") / pl.col("arrivals")).sort("date", "tzid"),
        )

    def _zones(self) -> pl.DataFrame:
        share, variance = self.total / self.arrivals, self.total + np.diagonal(self.covariance)
        with_all = self.total + self.covariance.sum(axis=1)
        spread = variance - 2 * share * with_all + share**2 * (self.arrivals + self.excess)
        frame = pl.DataFrame(
            {
                "tzid": self.zones,
                "arrivals": self.total,
                "share": share,
                "standard_error": np.sqrt(np.maximum(spread, 0)) / self.arrivals,
            }
        )
        return frame.filter(pl.col("arrivals") > 0).sort(["arrivals", "tzid"], descending=[True, False])

    def _largest(self) -> tuple[Estimate, Estimate]:
        """Shares of the ten largest zones, and of the largest tenth of the zones that will have arrivals."""
        used = np.flatnonzero(self.total > 0)
        covariance = self.covariance[np.ix_(used, used)] + np.diag(self.total[used])
        root = np.linalg.cholesky(covariance)
        normal = np.random.default_rng(0).standard_normal((_DRAWS, len(used)))
        drawn = np.maximum(self.total[used] + normal @ root.T, 0.0)
        ordered = -np.sort(-drawn, axis=1)
        seen = round(float(-np.expm1(-self.total[used]).sum()))
        shares = [ordered[:, :count].sum(axis=1) / drawn.sum(axis=1) for count in (TOP_ZONES, max(1, -(-seen // 10)))]
        top, tenth = (Estimate(float(share.mean()), float(share.std(ddof=1))) for share in shares)
        return top, tenth


def _tidy(value: float) -> float:
    return float(f"{value:.12g}")
