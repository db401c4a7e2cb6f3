"""Totals of S4's shards: the summary dataset, the anomalies that a policy allowed, and the RNG totals."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa

from segment5b_lib.arrays import I64
from segment5b_lib.civil_time.horizon import Shortfall
from segment5b_lib.contract.datasets import SERIES_KEY
from segment5b_lib.identity import canonical_json, utc_text
from segment5b_lib.kernel.arrival_tables import VIRTUAL, Counts, Tallies
from segment5b_lib.kernel.streams import ARRIVAL_EDGE_PICK, ARRIVAL_SITE_PICK, ARRIVAL_TIME
from segment5b_lib.states.s4.counts import Shard, merchant_groups
from segment5b_lib.states.s4.expansion import Expansion, ShardResult
from segment5b_lib.states.series import SeriesDomain, rng_total

HORIZON_SHORT: Final = "HORIZON_SHORT"
SITE_MISSING_IN_ZONE: Final = "SITE_MISSING_IN_ZONE"
Anomaly = dict[str, Any]


class SummaryParts:
    """Parts of the summary: one for the merchants of a shard, or for the one merchant that several shards share."""

    def __init__(self, shards: list[Shard]) -> None:
        self._part_of = {
            shard.part: (part, group) for part, group in enumerate(merchant_groups(shards)) for shard in group
        }
        self._tallies: dict[int, Tallies] = {}
        self._lock = threading.Lock()

    def add(self, shard: Shard, tallies: Tallies) -> tuple[int, list[Tallies]] | None:
        """Add the tallies of a shard. The last shard of a part returns its number and all its tallies by bucket."""
        part, group = self._part_of[shard.part]
        with self._lock:
            self._tallies[shard.part] = tallies
            if all(other.part in self._tallies for other in group):
                return part, [self._tallies.pop(other.part) for other in group]
        return None


def summary_table(domain: SeriesDomain, counts: Counts, tallies: Sequence[Tallies]) -> pa.Table:
    """Rows of the series of `counts`, in key order; `tallies` cover them, one range of buckets after the other."""
    virtual = np.concatenate([part.virtual for part in tallies], axis=1)
    first_seq = np.concatenate([part.first_seq for part in tallies], axis=1)
    series, bucket = np.nonzero(counts.series)
    count, of_virtual = counts.series[series, bucket], virtual[series, bucket]
    keys = domain.frame.select(SERIES_KEY)[counts.series_from :][series]
    frame = keys.with_columns(
        bucket_index=pl.Series(bucket.astype(np.int32)),
        count_N=pl.Series(count),
        count_physical=pl.Series(count - of_virtual),
        count_virtual=pl.Series(of_virtual),
        first_arrival_seq=pl.Series(first_seq[series, bucket]),
    )
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())


def horizon_anomalies(shortfalls: Sequence[Shortfall]) -> list[Anomaly]:
    """One row per zone whose cached offsets are wrong from an instant of the horizon on."""
    return [
        _row(
            HORIZON_SHORT,
            {
                "tzid": short.tzid,
                "first_wrong_utc": utc_text(short.utc_second),
                "expected_offset_minutes": short.expected_minutes,
                "cached_offset_minutes": short.cached_minutes,
            },
            f"the transition cache is wrong for {short.tzid} from {utc_text(short.utc_second)} on",
        )
        for short in shortfalls
    ]


def unroutable_anomalies(expansion: Expansion, results: Sequence[ShardResult]) -> list[Anomaly]:
    """One row per series and zone whose arrivals went to the merchant's nearest zone instead, with their number."""
    counted: Counter[tuple[int, int]] = Counter()
    for result in results:
        first, _ = expansion.series_range(result.shard)
        for row, zone in np.argwhere(result.unroutable).tolist():
            counted[first + row, zone] += int(result.unroutable[row, zone])
    return [_unroutable(expansion, series, zone, counted[series, zone]) for series, zone in sorted(counted)]


def _unroutable(expansion: Expansion, series: int, zone: int, arrivals: int) -> Anomaly:
    key, needed = expansion.unroutable_key(series, zone)
    used = expansion.scenario.pools.zone_used({**key, "tzid": needed})
    context = {**key, "tzid_needed": needed, "tzid_used": used, "arrivals": arrivals}
    return _row(
        SITE_MISSING_IN_ZONE,
        context,
        f"{arrivals} arrivals of merchant {key['merchant_id']} went to {used}: it has no site in {needed}",
    )


def _row(code: str, context: dict[str, Any], message: str) -> Anomaly:
    return {
        "anomaly_code": code,
        "severity": "warning",
        "context": canonical_json(context).decode(),
        "message": message,
    }


def anomaly_table(anomalies: Sequence[Anomaly], schema: pa.Schema) -> pa.Table:
    """Numbered rows; a valid typed table also when there are none."""
    numbered = [{"anomaly_id": number, **row} for number, row in enumerate(anomalies, start=1)]
    return pa.Table.from_pylist(numbered, schema=schema)


def arrival_rng_totals(expansion: Expansion, results: Sequence[ShardResult]) -> list[dict[str, Any]]:
    """One row per family: events, blocks, draws, and the first and last domain in series order that drew.

    One time block per arrival; one site block per arrival of a merchant that is not only virtual (also if
    its coin gives virtual); one edge block per virtual arrival.
    """
    arrivals = expansion.counts.of_series
    merchants = expansion.scenario.tables.merchants
    owner = np.repeat(np.arange(len(merchants.mode)), np.diff(merchants.first_series))
    picked = np.where(merchants.mode[owner] == VIRTUAL, 0, arrivals)
    blocks = {
        ARRIVAL_TIME: arrivals,
        ARRIVAL_SITE_PICK: picked,
        ARRIVAL_EDGE_PICK: _virtual_arrivals(expansion, results),
    }
    domain = expansion.domain
    return [
        rng_total(domain.scenario_id, family, int(drawn.sum()), domain.outermost(np.flatnonzero(drawn)))
        for family, drawn in blocks.items()
    ]


def _virtual_arrivals(expansion: Expansion, results: Sequence[ShardResult]) -> I64:
    virtual = np.zeros(len(expansion.domain), np.int64)
    for result in results:
        first, stop = expansion.series_range(result.shard)
        virtual[first:stop] += result.virtual
    return virtual
