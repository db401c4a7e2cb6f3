"""S3 counts: the number of arrivals of each series in each bucket, drawn exactly from the count law."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa

from segment5b_lib.arrays import F64, I32, U64, Flags
from segment5b_lib.contract.datasets import dataset
from segment5b_lib.contract.policies import CountConfig
from segment5b_lib.contract.words import Lane
from segment5b_lib.errors import StateError
from segment5b_lib.kernel.counts import draw_counts
from segment5b_lib.kernel.streams import BUCKET_COUNT, stream_keys
from segment5b_lib.model.random_laws import dispersion
from segment5b_lib.states.context import Context, Publication, StateSpec
from segment5b_lib.states.series import SeriesDomain, load_domain, rng_total
from segment5b_lib.states.surface import SeriesSlice, series_slices
from segment5b_lib.store.scan import RowRanges

SPEC: Final = StateSpec(
    name="S3",
    title="Bucket counts",
    policies=("count", "rng"),
    reads_world=(),
    reads_states=("S0", "S1", "S2"),
    writes=("s3_bucket_counts_5B",),
)


def run(context: Context) -> None:
    context.verify_inputs()
    with context.publication() as publication:
        publication.counters = {"scenarios": {}, "rng": [], "rows_in": 0, "rows_out": 0}
        for scenario_id in context.run.scenarios:
            domain, kappa, keys = _load(context, scenario_id)
            _draw(context, publication, domain, kappa, keys)


def _load(context: Context, scenario_id: str) -> tuple[SeriesDomain, F64, U64]:
    with context.step("read series", Lane.INPUT_LOAD) as step:
        domain = load_domain(context.run, scenario_id)
        step.rows = len(domain)
    with context.step("derive stream keys", Lane.COMPUTE):
        keys = stream_keys(
            BUCKET_COUNT, context.run.receipt.rng_root, context.run.receipt.seed, scenario_id, domain.keys()
        )
        return domain, dispersion(domain.frame["demand_class"], domain.band, context.run.policies.count), keys


def _draw(context: Context, publication: Publication, domain: SeriesDomain, kappa: F64, keys: U64) -> None:
    policy = context.run.policies.count
    files = context.run.files("s2_realised_intensity_5B", domain.scenario_id)
    intensity = RowRanges(files, dataset("s2_realised_intensity_5B"))

    def draw(bounds: SeriesSlice) -> dict[str, int]:
        part = slice(bounds.start, bounds.stop)
        with context.step("read intensity", Lane.INPUT_LOAD) as step:
            rows = intensity.read(["lambda_realised"], part.start * domain.buckets, part.stop * domain.buckets)
            mu = rows["lambda_realised"].to_numpy().reshape(len(bounds), domain.buckets)
            step.rows = mu.size
        with context.step("draw counts", Lane.COMPUTE) as step:
            counts, capped = draw_counts(
                keys[part], mu, kappa[part], law=policy.law, mu_floor=policy.lambda_zero_eps, cap=policy.max_count
            )
            step.rows = mu.size
        with context.step("check counts", Lane.VALIDATION):
            _validate(domain, bounds, mu, counts, policy)
        with context.step("build columns", Lane.WRITE):
            table = domain.per_bucket(part.start, part.stop, _columns(domain, kappa[part], mu, counts, capped, policy))
        publication.write_part("s3_bucket_counts_5B", domain.scenario_id, bounds.part, table)
        drawn, positive, cut = (np.count_nonzero(rows) for rows in (mu > policy.lambda_zero_eps, counts, capped))
        return {
            "rows": mu.size,
            "rows_drawn": int(drawn),
            "total_arrivals": int(counts.sum()),
            "count_capped": int(cut),
            "rows_zero": int(mu.size - positive),
        }

    slices = series_slices(len(domain), domain.buckets)
    totals = context.map_shards("draw counts", draw, slices, [len(bounds) * domain.buckets for bounds in slices])
    _count(publication, domain, totals)


def _columns(
    domain: SeriesDomain, kappa: F64, mu: F64, counts: I32, capped: Flags, policy: CountConfig
) -> dict[str, Any]:
    law = pa.DictionaryArray.from_arrays(pa.array(np.zeros(mu.size, np.int32)), pa.array([policy.law]), safe=False)
    return {
        "mu": mu,
        "kappa": np.repeat(kappa, domain.buckets),
        "count_N": counts,
        "count_capped": capped,
        "count_law_id": law,
    }


def _validate(domain: SeriesDomain, bounds: SeriesSlice, mu: F64, counts: I32, policy: CountConfig) -> None:
    wrong = (counts < 0) | (counts > policy.max_count) | ((mu <= policy.lambda_zero_eps) & (counts != 0))
    if wrong.any():
        series, bucket = (int(index) for index in np.argwhere(wrong)[0])
        raise StateError(
            "5B.S3.COUNT_INVALID",
            "a count is negative, above the cap, or positive where nothing is expected",
            where=domain.place(bounds.start + series, bucket),
            expected=f"0 to {policy.max_count}; 0 where mu ≤ {policy.lambda_zero_eps}",
            found=f"count {counts[series, bucket]}, mu {mu[series, bucket]}",
        )


def _count(publication: Publication, domain: SeriesDomain, totals: list[dict[str, int]]) -> None:
    counters = {name: sum(part[name] for part in totals) for name in totals[0]}
    publication.counters["scenarios"][domain.scenario_id] = counters
    publication.counters["rows_in"] += counters["rows"]
    publication.counters["rows_out"] += counters["rows"]
    names = domain.outermost(np.arange(len(domain)))
    publication.counters["rng"].append(rng_total(domain.scenario_id, BUCKET_COUNT, counters["rows_drawn"], names))
