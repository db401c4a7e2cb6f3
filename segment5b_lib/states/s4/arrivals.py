"""S4 arrivals: spread each count over its hour, route every arrival, find its local time, write the rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np

from segment5b_lib.contract.dataset import PART_FILE
from segment5b_lib.contract.datasets import arrival_schema, dataset
from segment5b_lib.contract.units import SECOND_US
from segment5b_lib.contract.words import Lane
from segment5b_lib.kernel.arrival_tables import Grid
from segment5b_lib.states.context import Context, Publication, StateSpec
from segment5b_lib.states.s4.civil_time import guard_horizon
from segment5b_lib.states.s4.counts import Shard, load_counts, plan_shards
from segment5b_lib.states.s4.expansion import Expansion, ShardResult, expand_shard, shard_statistics
from segment5b_lib.states.s4.routing_inputs import RoutingInputs, load_routing_inputs
from segment5b_lib.states.s4.summary import (
    Anomaly,
    SummaryParts,
    anomaly_table,
    arrival_rng_totals,
    horizon_anomalies,
    summary_table,
    unroutable_anomalies,
)
from segment5b_lib.states.s4.tables import build_tables
from segment5b_lib.states.series import load_domain
from segment5b_lib.store.parquet import write_table
from segment5b_lib.store.records import Counters

SPEC: Final = StateSpec(
    name="S4",
    title="Arrivals",
    policies=("time_grid", "placement", "routing", "rng"),
    reads_world=(
        "site_locations",
        "site_timezones",
        "tz_timetable_cache",
        "s1_site_weights",
        "s4_group_weights",
        "zone_alloc",
        "virtual_classification_3B",
        "virtual_settlement_3B",
        "edge_catalogue_3B",
        "edge_alias_index_3B",
        "edge_alias_blob_3B",
        "edge_universe_hash_3B",
        "virtual_routing_policy_3B",
    ),
    reads_states=("S0", "S1", "S3"),
    writes=("arrival_events_5B", "s4_arrival_summary_5B", "s4_arrival_anomalies_5B"),
)
_ARRIVALS: Final = "arrival_events_5B"
_SUMMARY: Final = "s4_arrival_summary_5B"
_ANOMALIES: Final = "s4_arrival_anomalies_5B"
_TOTALS: Final = (
    "total_bucket_rows",
    "total_arrivals",
    "total_rows_written",
    "total_virtual",
    "missing_group_weights",
    "anomalies",
)


def run(context: Context) -> None:
    context.verify_inputs()
    with context.step("read routing inputs", Lane.INPUT_LOAD):
        inputs = load_routing_inputs(context)
    with context.publication() as publication:
        publication.counters = {"scenarios": {}, "shards": {}, "rng": [], "rows_in": 0, "rows_out": 0}
        for scenario_id in context.run.scenarios:
            expansion, anomalies = load_expansion(context, inputs, scenario_id)
            results = _expand(context, publication, expansion)
            anomalies += unroutable_anomalies(expansion, results)
            _write_anomalies(context, publication, scenario_id, anomalies)
            _count(publication, expansion, results, anomalies)


def load_expansion(context: Context, inputs: RoutingInputs, scenario_id: str) -> tuple[Expansion, list[Anomaly]]:
    """Counts, shards and tables of one scenario, and the shortfalls that the horizon guard allows, as anomalies."""
    with context.step("read series", Lane.INPUT_LOAD) as step:
        domain = load_domain(context.run, scenario_id)
        start = context.run.table("s1_time_grid_5B", ["bucket_start_utc"], scenario_id)["bucket_start_utc"][0]
        grid = Grid(int(start.value), context.run.policies.time_grid.bucket_seconds * SECOND_US)
        step.rows = len(domain)
    counts = load_counts(context, domain)
    with context.step("build tables", Lane.COMPUTE):
        scenario = build_tables(context, inputs, domain, grid, counts)
        shards = plan_shards(counts.cell)
    with context.step("guard horizon", Lane.VALIDATION):
        policy = context.run.policies.routing
        short = guard_horizon(inputs.cache, scenario.active, grid, domain.buckets, policy)
    schema = arrival_schema(utc_marked=context.run.policies.placement.local_time_encoding == "utc_marked")
    receipt, identity = context.run.receipt, ("parameter_hash", "manifest_fingerprint", "seed")
    metadata = {name: str(getattr(receipt, name)) for name in identity} | {"scenario_id": scenario_id}
    expansion = Expansion(context, domain, counts, shards, scenario, schema, inputs.universes, metadata)
    return expansion, horizon_anomalies(short)


def _expand(context: Context, publication: Publication, expansion: Expansion) -> list[ShardResult]:
    """Load, compute, validate and write, shard by shard: one part file each, and the summary of its merchants."""
    domain, summary = expansion.domain, SummaryParts(expansion.shards)
    folder = publication.folder(_ARRIVALS, domain.scenario_id)

    def run_shard(shard: Shard) -> ShardResult:
        path = folder / PART_FILE.format(part=shard.part)
        counts = expansion.shard_counts(shard)
        result, tallies = expand_shard(expansion, shard, counts, path)
        publication.seal(path)
        complete = summary.add(shard, tallies)
        if complete is not None:
            part, of_part = complete
            with context.step("summarise arrivals", Lane.COMPUTE):
                table = summary_table(domain, counts, of_part)
            publication.write_part(_SUMMARY, domain.scenario_id, part, table)
        return result

    rows = [shard.arrivals for shard in expansion.shards]
    return context.map_shards("expand arrivals", run_shard, expansion.shards, rows)


def _write_anomalies(
    context: Context, publication: Publication, scenario_id: str, anomalies: Sequence[Anomaly]
) -> None:
    contract = dataset(_ANOMALIES)
    with context.step(f"write {_ANOMALIES}", Lane.WRITE) as step:
        path = publication.folder(_ANOMALIES, scenario_id) / contract.file
        write_table(path, anomaly_table(anomalies, contract.schema), contract)
        step.rows = len(anomalies)


def _count(
    publication: Publication, expansion: Expansion, results: Sequence[ShardResult], anomalies: Sequence[Anomaly]
) -> None:
    domain, counters = expansion.domain, publication.counters
    zones = expansion.scenario.codes.zones
    statistics = {PART_FILE.format(part=r.shard.part): shard_statistics(r, zones) for r in results}
    scenario: Counters = {
        "total_bucket_rows": len(domain) * domain.buckets,
        "total_arrivals": int(expansion.counts.cell.sum(dtype=np.int64)),
        "total_rows_written": sum(part["rows"] for part in statistics.values()),
        "total_virtual": sum(part["virtual"] for part in statistics.values()),
        "missing_group_weights": expansion.scenario.missing_group_weights,
        "anomalies": len(anomalies),
        "anomaly_codes": dict(Counter(anomaly["anomaly_code"] for anomaly in anomalies)),
        "active_zones": len(expansion.scenario.active),
    }
    counters["scenarios"][domain.scenario_id] = scenario
    counters["shards"][domain.scenario_id] = statistics
    counters["rng"] += arrival_rng_totals(expansion, results)
    counters["rows_in"] += scenario["total_bucket_rows"]
    counters["rows_out"] += scenario["total_rows_written"]
    for name in _TOTALS:
        counters[name] = counters.get(name, 0) + scenario[name]
