"""S2 latent intensity: each group's latent factor multiplies the expected arrivals of its series."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from segment5b_lib.arrays import F32, F64
from segment5b_lib.contract.words import Lane
from segment5b_lib.errors import StateError
from segment5b_lib.kernel.intensity import first_invalid, realise
from segment5b_lib.kernel.latent import LatentField, latent_field
from segment5b_lib.kernel.streams import LATENT_VECTOR, stream_keys
from segment5b_lib.model.random_laws import Groups, below_floors, groups_of, mean_factor_law
from segment5b_lib.model.zones import tilt_multipliers
from segment5b_lib.states.context import Context, Publication, StateSpec
from segment5b_lib.states.series import SeriesDomain, load_domain, rng_total
from segment5b_lib.states.surface import SLICE_ROWS, SeriesSlice, Surface, series_slices, sorted_surface, source_surface
from segment5b_lib.store.records import Counters

SPEC: Final = StateSpec(
    name="S2",
    title="Latent intensity",
    policies=("lgcp", "rng"),
    reads_world=("merchant_zone_scenario_local_5A",),
    reads_states=("S0", "S1"),
    writes=("s2_realised_intensity_5B", "s2_latent_field_5B"),
)
_FIELD_ROWS: Final = 1 << 17


def run(context: Context) -> None:
    context.verify_inputs()
    with context.publication() as publication:
        publication.counters = {"scenarios": {}, "rng": [], "rows_in": 0, "rows_out": 0}
        for scenario_id in context.run.scenarios:
            domain, groups = _load(context, scenario_id)
            factors, counters = _compute_factors(context, publication, domain, groups)
            _validate_factors(context, domain, groups, counters)
            with _open_surface(context, domain) as surface:
                _realise(context, publication, domain, groups, factors, surface, counters)
            publication.counters["scenarios"][scenario_id] = counters


def _load(context: Context, scenario_id: str) -> tuple[SeriesDomain, Groups]:
    with context.step("read series", Lane.INPUT_LOAD) as step:
        domain = load_domain(context.run, scenario_id)
        step.rows = len(domain)
    with context.step("derive latent laws", Lane.COMPUTE):
        return domain, groups_of(domain.frame, domain.band, context.run.policies.lgcp)


def _compute_factors(
    context: Context, publication: Publication, domain: SeriesDomain, groups: Groups
) -> tuple[F64, Counters]:
    """Clipped factor [group, bucket] of every group; the field itself is written only on request."""
    policy = context.run.policies.lgcp
    receipt, domains = context.run.receipt, [(name,) for name in groups.names]
    keys = stream_keys(LATENT_VECTOR, receipt.rng_root, receipt.seed, domain.scenario_id, domains)
    factors = np.empty((len(groups.names), domain.buckets))

    def draw(bounds: SeriesSlice) -> tuple[int, int]:
        part = slice(bounds.start, bounds.stop)
        with context.step("draw latent field", Lane.COMPUTE) as step:
            field = latent_field(
                keys[part],
                groups.sigma[part],
                groups.length[part],
                buckets=domain.buckets,
                mode=policy.mode,
                clip=(policy.factor_clip.min, policy.factor_clip.max),
            )
            factors[part] = field.factor
            step.rows = field.factor.size
        if policy.emit_latent_field:
            _write_field(context, publication, domain, groups, bounds, field)
        return int(field.clipped_low.sum()), int(field.clipped_high.sum())

    # A slice is a part file if the field is written; otherwise small enough for the threads to end together.
    rows = SLICE_ROWS if policy.emit_latent_field else _FIELD_ROWS
    slices = series_slices(len(groups.names), domain.buckets, rows)
    clipped = context.map_shards("latent field", draw, slices, [len(bounds) for bounds in slices])
    drawn = 0 if policy.mode == "none" else factors.size
    publication.counters["rng"].append(rng_total(domain.scenario_id, LATENT_VECTOR, drawn, groups.names))
    counters: Counters = {
        "groups": len(groups.names),
        "mean_factor": float(factors.mean()),
        "clipped_low": sum(low for low, _ in clipped),
        "clipped_high": sum(high for _, high in clipped),
    }
    return factors, counters


def _write_field(
    context: Context,
    publication: Publication,
    domain: SeriesDomain,
    groups: Groups,
    bounds: SeriesSlice,
    field: LatentField,
) -> None:
    names = pa.array(groups.names[bounds.start : bounds.stop])
    sigma = np.repeat(groups.sigma[bounds.start : bounds.stop], domain.buckets)
    owner = pa.array(np.repeat(np.arange(len(bounds), dtype=np.int32), domain.buckets))
    table = pa.table(
        {
            "group_id": pa.DictionaryArray.from_arrays(owner, names),
            "bucket_index": np.tile(np.arange(domain.buckets, dtype=np.int32), len(bounds)),
            "latent_value": field.z.reshape(-1),
            "latent_mean": np.zeros(sigma.size),
            "latent_std": sigma,
        }
    )
    publication.write_part("s2_latent_field_5B", domain.scenario_id, bounds.part, table)


def _validate_factors(context: Context, domain: SeriesDomain, groups: Groups, counters: Counters) -> None:
    """Mean factor against the clipped law's mean, and the minimum variety that the policy requires."""
    policy = context.run.policies.lgcp
    with context.step("check latent field", Lane.VALIDATION):
        expected, error = mean_factor_law(groups, domain.buckets, policy)
        allowed = max(policy.mean_factor_tolerance, 5 * error)
        counters["mean_factor_expected"], counters["mean_factor_allowed_difference"] = expected, allowed
        where = f"s2_realised_intensity_5B, scenario {domain.scenario_id}"
        if abs(counters["mean_factor"] - expected) > allowed:
            raise StateError(
                "5B.S2.MEAN_FACTOR",
                "the mean latent factor is not that of its law",
                where=where,
                expected=f"{expected:.5f} ± {allowed:.5f}",
                found=f"{counters['mean_factor']:.5f}",
            )
        problem = below_floors(groups, domain.band, policy)
        if problem:
            raise StateError("5B.S2.LATENT_FLOOR", "latent laws show too little variety", where=where, found=problem)


@contextmanager
def _open_surface(context: Context, domain: SeriesDomain) -> Iterator[Surface]:
    marker = context.run.marker("S1")
    assert marker is not None
    if marker.of_scenario(domain.scenario_id)["surface_in_order"]:
        yield source_surface(context.run.world, domain.scenario_id, domain.buckets)
        return
    with tempfile.TemporaryDirectory(dir=context.run.root) as folder:
        with context.step("sort surface", Lane.INPUT_LOAD):
            surface = sorted_surface(context.run.world, domain.scenario_id, domain.buckets, Path(folder))
        yield surface


def _realise(
    context: Context,
    publication: Publication,
    domain: SeriesDomain,
    groups: Groups,
    factors: F64,
    surface: Surface,
    counters: Counters,
) -> None:
    """λ_realised = min(λ · factor · zone tilt, cap), slice by slice: load, compute, validate, write."""
    tilt, cap = _tilt(context, domain, surface), context.run.policies.lgcp.lambda_max

    def realise_slice(bounds: SeriesSlice) -> tuple[int, float, float, int]:
        start, stop = bounds.start, bounds.stop
        with context.step("read surface", Lane.INPUT_LOAD) as step:
            baseline = surface.intensity(start, stop)
            step.rows = baseline.size
        with context.step("multiply", Lane.COMPUTE) as step:
            group = groups.of_series[start:stop]
            component, realised, capped = realise(baseline, factors, group, tilt[start:stop], cap)
            step.rows = realised.size
        with context.step("check intensity", Lane.VALIDATION):
            _validate_slice(domain, start, baseline, realised)
        columns = {"lambda_baseline": baseline, "lambda_random_component": component, "lambda_realised": realised}
        with context.step("build columns", Lane.WRITE):
            table = domain.per_bucket(start, stop, columns)
        publication.write_part("s2_realised_intensity_5B", domain.scenario_id, bounds.part, table)
        return realised.size, float(baseline.sum(dtype=np.float64)), float(realised.sum()), capped

    slices = surface.slices()
    rows = [len(bounds) * domain.buckets for bounds in slices]
    totals = context.map_shards("realise intensity", realise_slice, slices, rows)
    sizes, baselines, realised, capped = zip(*totals, strict=True)
    counters["rows"] = sum(sizes)
    counters["lambda_baseline_total"], counters["lambda_realised_total"] = math.fsum(baselines), math.fsum(realised)
    counters["lambda_capped"] = sum(capped)
    publication.counters["rows_in"] += counters["rows"]
    publication.counters["rows_out"] += counters["rows"]


def _tilt(context: Context, domain: SeriesDomain, surface: Surface) -> F64:
    """Multiplier per series that tilts a merchant's zones and keeps the merchant's total λ."""
    tilt = context.run.policies.lgcp.zone_mix
    if tilt.mode == "none":
        return np.ones(len(domain))

    def total(bounds: SeriesSlice) -> F64:
        with context.step("sum surface", Lane.INPUT_LOAD):
            sums: F64 = surface.intensity(bounds.start, bounds.stop).sum(axis=1, dtype=np.float64)
            return sums

    slices = surface.slices()
    totals = context.map_shards("sum surface", total, slices, [len(bounds) for bounds in slices])
    return tilt_multipliers(domain.frame, np.concatenate(totals), tilt)


def _validate_slice(domain: SeriesDomain, start: int, baseline: F32, realised: F64) -> None:
    wrong = first_invalid(baseline, realised)
    if wrong >= 0:
        series, bucket = divmod(wrong, domain.buckets)
        raise StateError(
            "5B.S2.INTENSITY_INVALID",
            "a realised intensity is negative, not finite, or positive where the baseline is zero",
            where=domain.place(start + series, bucket),
            expected="finite, ≥ 0, and 0 where the baseline is 0",
            found=realised[series, bucket],
        )
