"""What S3 will draw its counts from: λ of every series as S2 realises it, without S2 having run.

λ_realised = min(λ · factor · zone mix, cap). The latent field is keyed by group, and so is a function of world,
policies and seed alone: it is drawn here by S2's own kernel, which also gives the λ of a seed that was never run
and of a reopened 3B, where merchants that change their mode change their group. The zone mix is left out; whoever
uses a demand applies it (`flows`). Every bucket also has the chance that a zone's cached clock is wrong in it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from segment5b_lib.arrays import F64
from segment5b_lib.calibrate.tables import RoutingTables
from segment5b_lib.civil_time.cache import TzCache
from segment5b_lib.civil_time.oracle import expected_offsets
from segment5b_lib.civil_time.tzif import changes_within
from segment5b_lib.contract.datasets import dataset
from segment5b_lib.contract.policies import Policies
from segment5b_lib.contract.units import SECOND_US
from segment5b_lib.errors import MissingInputError
from segment5b_lib.kernel.arrival_tables import Grid
from segment5b_lib.kernel.latent import latent_field
from segment5b_lib.kernel.streams import LATENT_VECTOR, stream_keys
from segment5b_lib.model.grouping import grouped, with_attributes
from segment5b_lib.model.random_laws import Groups, dispersion, groups_of
from segment5b_lib.model.scenario import Scenario, scenario_of
from segment5b_lib.model.zones import days_of_buckets
from segment5b_lib.states.surface import SeriesSlice, Surface, series_slices, sorted_surface, source_surface
from segment5b_lib.store.runs import Run
from segment5b_lib.store.scan import RowRanges
from segment5b_lib.store.worlds import World

_SURFACE: Final = "merchant_zone_scenario_local_5A"
_LAMBDA: Final = "lambda_local_scenario"


@dataclass(frozen=True, eq=False)
class ExpectedDemand:
    """One scenario's expected arrivals by series and span.

    A span is a run of buckets of one UTC day over which no zone's cached clock changes between right and wrong.
    `series` has one row per series in key order: merchant_id, legal_country_iso, zone_representation, channel_group;
    `days` are the UTC days of the horizon as YYYY-MM-DD, `day` int64 [span] indices into them. `surface` float64
    [series] is Σλ of the surface, from which S2's zone mix is computed; `mean` float64 [series, span] Σμ, arrivals;
    `excess` float64 [series, span] Σμ²/κ, what the count law varies by beyond Poisson; `wrong` float64 [zone, span]
    the chance that the cached clock is wrong.
    """

    scenario_id: str
    series: pl.DataFrame
    days: tuple[str, ...]
    day: NDArray[np.int64]
    surface: F64
    mean: F64
    excess: F64
    wrong: F64


@dataclass(frozen=True)
class Source:
    """What a demand is made from: the run whose S1 knows the series, its world, and the seed of the streams."""

    run: Run
    tables: RoutingTables
    seed: int
    threads: int

    @property
    def world(self) -> World:
        """The run's own, whose surface a reopening of 2A, 2B or 3B leaves as it is."""
        return self.run.world


def load_demand(source: Source, scenario_id: str, policies: Policies) -> ExpectedDemand:
    """Read one scenario's surface and multiply it by its latent factors.

    Raises
    ------
    MissingInputError : ``5B.CALIBRATE.S1_MISSING`` where the run has not got as far as S1
    """
    manifest = source.world.table("scenario_manifest_5A").to_pylist()
    scenario = scenario_of(next(row for row in manifest if row["scenario_id"] == scenario_id), policies.time_grid)
    series = _grouped_series(source, scenario, policies)
    edges = int(scenario.start.timestamp()) + scenario.bucket_seconds * np.arange(scenario.buckets + 1)
    tolerance = policies.validation.civil_time.tolerance_seconds
    wrong = np.stack([wrong_share(source.tables.cache, tzid, edges, tolerance) for tzid in source.tables.zones])
    days, day = days_of_buckets(Grid(int(edges[0]) * SECOND_US, scenario.bucket_seconds * SECOND_US), scenario.buckets)
    changes = (np.diff(day) != 0) | (np.diff(wrong, axis=1) != 0).any(axis=0)
    first = np.flatnonzero(np.append(True, changes))
    surface, mean, square = _sums(source, scenario, series, policies, first)
    kappa = dispersion(series["demand_class"], scenario.band, policies.count)[:, None]
    return ExpectedDemand(
        scenario_id=scenario_id,
        series=series.select("merchant_id", "legal_country_iso", "zone_representation", "channel_group"),
        days=tuple(days),
        day=day[first].astype(np.int64),
        surface=surface,
        mean=mean,
        excess=square / kappa if policies.count.law == "nb2" else np.zeros_like(square),
        wrong=wrong[:, first],
    )


def _grouped_series(source: Source, scenario: Scenario, policies: Policies) -> pl.DataFrame:
    """S1's series, grouped again: the group depends on the virtual mode, which a reopened 3B changes."""
    if source.run.marker("S1") is None:
        raise MissingInputError(
            "5B.CALIBRATE.S1_MISSING",
            "a prediction needs the series of the run, which S1 publishes",
            where=str(source.run.marker_path("S1")),
            next_step=f"segment5b run --world {source.world.mf[:12]} S0 S1",
        )
    names = {"zone_representation": "tzid"}
    known = source.run.frame("s1_grouping_5B", scenario_id=scenario.scenario_id)
    series = known.select("merchant_id", "legal_country_iso", "zone_representation", "channel_group").rename(names)
    profile = known.select("merchant_id", "legal_country_iso", "zone_representation", "demand_class").rename(names)
    attributed = with_attributes(series, profile.unique(), source.tables.modes)
    return grouped(attributed, scenario, policies.grouping)


def _sums(
    source: Source, scenario: Scenario, series: pl.DataFrame, policies: Policies, first: NDArray[np.intp]
) -> tuple[F64, F64, F64]:
    """Σλ by series, Σμ and Σμ² by series and span, slice by slice of the surface."""
    groups, buckets = groups_of(series, scenario.band, policies.lgcp), scenario.buckets
    surface, shape = np.empty(series.height), (series.height, len(first))
    mean, square = np.empty(shape), np.empty(shape)
    with _open_surface(source, scenario) as lambdas, ThreadPoolExecutor(source.threads) as pool:
        factors = _factors(source, scenario, groups, policies, pool)
        rows = RowRanges(lambdas.files, dataset(_SURFACE))

        def add_slice(part: SeriesSlice) -> None:
            own = slice(part.start, part.stop)
            table = rows.read([_LAMBDA], part.start * buckets, part.stop * buckets)
            intensity = table[_LAMBDA].to_numpy().reshape(len(part), buckets)
            surface[own] = intensity.sum(axis=1, dtype=np.float64)
            mu = np.minimum(intensity * factors[groups.of_series[own]], policies.lgcp.lambda_max)
            mu[mu <= policies.count.lambda_zero_eps] = 0.0
            mean[own] = np.add.reduceat(mu, first, axis=1)
            square[own] = np.add.reduceat(np.square(mu, out=mu), first, axis=1)

        list(pool.map(add_slice, series_slices(series.height, buckets)))
    return surface, mean, square


def _factors(source: Source, scenario: Scenario, groups: Groups, policies: Policies, pool: ThreadPoolExecutor) -> F64:
    """Clipped latent factor, float64 [group, bucket]: what S2 draws for this world, policy and seed."""
    names = [(name,) for name in groups.names]
    keys = stream_keys(LATENT_VECTOR, source.world.rng_root, source.seed, scenario.scenario_id, names)
    clip = policies.lgcp.factor_clip.min, policies.lgcp.factor_clip.max
    factors = np.empty((len(names), scenario.buckets))

    def draw_slice(bounds: SeriesSlice) -> None:
        own = slice(bounds.start, bounds.stop)
        law = groups.sigma[own], groups.length[own]
        field = latent_field(keys[own], *law, buckets=scenario.buckets, mode=policies.lgcp.mode, clip=clip)
        factors[own] = field.factor

    list(pool.map(draw_slice, series_slices(len(names), scenario.buckets)))
    return factors


@contextmanager
def _open_surface(source: Source, scenario: Scenario) -> Iterator[Surface]:
    """The surface in series order: as it lies there, or, where S1 found it out of order, a sorted copy."""
    marker = source.run.marker("S1")
    assert marker is not None, "the series were read from its output"
    if marker.of_scenario(scenario.scenario_id)["surface_in_order"]:
        yield source_surface(source.world, scenario.scenario_id, scenario.buckets)
        return
    with tempfile.TemporaryDirectory() as folder:
        yield sorted_surface(source.world, scenario.scenario_id, scenario.buckets, Path(folder))


def wrong_share(cache: TzCache, tzid: str, edges: NDArray[np.int64], tolerance_seconds: float) -> F64:
    """Part of each bucket, float64 [bucket], in which a zone's cached offset is not the true one.

    `edges` are the bucket boundaries, epoch seconds UTC, one more than buckets. An arrival is uniform within its
    bucket, so this is the chance that its clock is wrong. A zone that the cache does not have is always wrong.
    """
    cached, start, end = cache.zone(tzid), int(edges[0]), int(edges[-1])
    if cached is None:
        return np.ones(len(edges) - 1)
    true = expected_offsets(tzid, start, end)
    instants = changes_within(start, end, true.instants, cached.utc_seconds)
    wrong = np.abs(cached.seconds_at(instants) - true.at(instants)) > tolerance_seconds
    marks = np.append(instants, end)
    seconds_before = np.concatenate([[0.0], np.cumsum(np.diff(marks) * wrong)])
    share: F64 = np.diff(np.interp(edges, marks, seconds_before)) / np.diff(edges)
    return share
