"""One shard of S4: expand, check and write its row groups; totals of the shard.

The columns of `arrival_events_5B` are the kernel's row buffers: no value is copied, no text built. Site and edge ids
share one buffer and differ in their validity; so do primary and operational zone and time, which are the same for a
virtual row, while a physical row has no operational ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from segment5b_lib.arrays import I32, I64, U8
from segment5b_lib.contract.datasets import SERIES_KEY
from segment5b_lib.contract.words import Lane
from segment5b_lib.errors import StateError
from segment5b_lib.kernel import arrival_check
from segment5b_lib.kernel.arrival_check import Finding, Sums, check_rows, new_sums
from segment5b_lib.kernel.arrival_tables import Counts, Rows, Scratch, Tallies, new_rows, new_scratch, new_tallies
from segment5b_lib.kernel.expand import expand
from segment5b_lib.kernel.routing import NO_SITE
from segment5b_lib.states.context import Context
from segment5b_lib.states.s4.counts import CountFiles, Shard, buffer_sizes, plan_row_groups
from segment5b_lib.states.s4.merchants import Codes
from segment5b_lib.states.s4.tables import ScenarioTables
from segment5b_lib.states.series import SeriesDomain
from segment5b_lib.store.parquet import open_writer
from segment5b_lib.store.records import Counters

Validity = tuple[Any, int]
"""Validity bits and the number of nulls."""
Values = NDArray[np.generic]


@dataclass(frozen=True)
class Workspace:
    """Buffers of one thread, filled again for every row group: fresh memory costs as much as the expansion."""

    rows: Rows
    scratch: Scratch
    drawn: I32


@dataclass(frozen=True)
class ShardResult:
    """Totals of a shard.

    `virtual` int64 [series] counts virtual arrivals; `unroutable` int32 [series, zone]; `sums` are over all rows.
    """

    shard: Shard
    virtual: I64
    unroutable: I32
    sums: Sums


@dataclass(frozen=True)
class Expansion:
    """Everything the shards of one scenario have in common."""

    context: Context
    domain: SeriesDomain
    counts: CountFiles
    shards: list[Shard]
    scenario: ScenarioTables
    schema: pa.Schema
    universes: tuple[str, str]
    metadata: dict[str, str]
    _free: SimpleQueue[Workspace] = field(default_factory=SimpleQueue)

    def series_range(self, shard: Shard) -> tuple[int, int]:
        """Series [first, stop) of the shard's merchants."""
        first = self.scenario.tables.merchants.first_series
        return int(first[shard.merchant_from]), int(first[shard.merchant_to])

    def shard_counts(self, shard: Shard) -> Counts:
        with self.context.step("read counts", Lane.INPUT_LOAD):
            return self.counts.read(*self.series_range(shard))

    def unroutable_key(self, series: int, zone: int) -> tuple[dict[str, Any], str]:
        """Key columns of a series, and the name of the zone in which its merchant has no site."""
        key = self.domain.frame.select(SERIES_KEY).row(series, named=True)
        return key, self.scenario.codes.zones[zone]

    @contextmanager
    def workspace(self) -> Iterator[Workspace]:
        try:
            space = self._free.get_nowait()
        except Empty:
            rows, largest_cell = buffer_sizes(self.counts.cell, self.shards)
            series = int(np.diff(self.scenario.tables.merchants.first_series).max())
            space = Workspace(new_rows(rows), new_scratch(largest_cell), np.zeros(series, np.int32))
        try:
            yield space
        finally:
            self._free.put(space)


def expand_shard(expansion: Expansion, shard: Shard, counts: Counts, path: Path) -> tuple[ShardResult, Tallies]:
    """Write one part file, row group by row group, each checked before it is written."""
    first, stop = expansion.series_range(shard)
    codes = expansion.scenario.codes
    zones = len(codes.zones) if expansion.scenario.tables.pools.unroutable.any() else 0
    tallies = new_tallies(first, stop - first, shard.bucket_from, shard.bucket_to - shard.bucket_from, zones)
    sums = new_sums(len(codes.zones))
    with expansion.workspace() as space, open_writer(path, expansion.schema, expansion.metadata) as writer:
        for cells in plan_row_groups(expansion.counts.cell, shard):
            written = _compute(expansion, cells, counts, space, tallies)
            _validate(expansion, cells, counts, space, sums)
            with expansion.context.step("build columns", Lane.WRITE):
                table = arrival_table(space.rows, written, codes, expansion.universes, expansion.schema)
            with expansion.context.step("write arrivals", Lane.WRITE) as step:
                writer.write_table(table, row_group_size=table.num_rows)
                step.rows = table.num_rows
    with expansion.context.step("write arrivals", Lane.WRITE) as step:
        step.bytes = path.stat().st_size
    return ShardResult(shard, tallies.virtual.sum(axis=1, dtype=np.int64), tallies.unroutable, sums), tallies


def _compute(expansion: Expansion, cells: tuple[int, int], counts: Counts, space: Workspace, tallies: Tallies) -> int:
    with expansion.context.step("expand arrivals", Lane.COMPUTE) as step:
        tables = expansion.scenario.tables
        written = expand(*cells, counts, tables, tallies, space.scratch, space.rows)
        if written == NO_SITE:
            raise _no_site(expansion, tallies)
        step.rows = written
    return written


def _no_site(expansion: Expansion, tallies: Tallies) -> StateError:
    """The error names the series and zone whose arrival met an empty pool."""
    unresolved = [
        (key, needed)
        for row, zone in np.argwhere(tallies.unroutable).tolist()
        for key, needed in [expansion.unroutable_key(tallies.series_from + row, zone)]
        if expansion.scenario.pools.zone_used({**key, "tzid": needed}) is None
    ]
    key, needed = unresolved[0]
    return StateError(
        "5B.S4.ROUTING_ROW_MISSING",
        "a merchant has no site in the zone that an arrival needs",
        where=f"scenario {expansion.domain.scenario_id}, key {list(key.values())}, zone {needed}",
        expected="a site with a positive p_weight in s1_site_weights",
        found="none, and no other zone that may be used instead",
        next_step="segment 2B must publish again; or set routing.site_missing_in_zone to anomaly",
    )


def _validate(expansion: Expansion, cells: tuple[int, int], counts: Counts, space: Workspace, sums: Sums) -> None:
    with expansion.context.step("check arrivals", Lane.VALIDATION) as step:
        tables = expansion.scenario.tables
        finding = Finding(*check_rows(*cells, counts, tables, space.rows, space.drawn, sums))
        step.rows = finding.row
    if finding.rule != arrival_check.KEPT:
        raise _broken(expansion, space.rows, finding)


def _broken(expansion: Expansion, rows: Rows, finding: Finding) -> StateError:
    merchant, bucket = divmod(finding.cell, expansion.domain.buckets)
    values = {name: getattr(rows, name)[finding.row].item() for name in rows._fields if finding.row < rows.ts.size}
    return StateError(
        "5B.S4.ARRIVAL_INVALID",
        "an arrival that was about to be published breaks a rule",
        where=f"arrival_events_5B, scenario {expansion.domain.scenario_id}, "
        f"merchant {expansion.scenario.tables.merchants.merchant_id[merchant]}, bucket {bucket}",
        expected=arrival_check.ROW_RULES[finding.rule],
        found=values,
        next_step="this is a defect of the library: report it with the run's identity",
    )


def shard_statistics(result: ShardResult, zones: tuple[str, ...]) -> Counters:
    """Sufficient statistics of a part file, which S5 derives again from the rows."""
    total = result.sums.total.tolist()
    rows = total[arrival_check.CHECKED_ROWS]
    return {
        "rows": rows,
        "virtual": total[arrival_check.VIRTUAL_ROWS],
        "first_ts_us": total[arrival_check.FIRST_TS] if rows else None,
        "last_ts_us": total[arrival_check.LAST_TS] if rows else None,
        "seq_sum": total[arrival_check.SEQ_SUM],
        "offset_minutes_sum": total[arrival_check.OFFSET_SUM],
        "place_id_sum": total[arrival_check.PLACE_SUM] % (1 << 64),
        "rows_of_zone": {zone: count for zone, count in zip(zones, result.sums.of_zone.tolist(), strict=True) if count},
    }


def arrival_table(rows: Rows, n: int, codes: Codes, universes: tuple[str, str], schema: pa.Schema) -> pa.Table:
    """The first `n` rows as a table of `schema`. It borrows the buffers: use it before they are filled again.

    `universes` are the routing universe hashes of physical (3A) and of virtual rows (3B).
    """
    virtual = rows.virtual[:n]
    is_virtual = _bits(virtual)
    if_virtual, if_physical = (is_virtual, n - int(virtual.sum())), (_bits(virtual ^ np.uint8(1)), int(virtual.sum()))
    countries, zones, channels = (
        pa.array(words, pa.string()) for words in (codes.countries, codes.zones, codes.channels)
    )
    local = schema.field("ts_local_primary").type
    arrays = {
        "merchant_id": _array(rows.merchant_id[:n], pa.uint64()),
        "legal_country_iso": _words(rows.country[:n], countries),
        "zone_representation": _words(rows.zone[:n], zones),
        "channel_group": _words(rows.channel[:n], channels),
        "bucket_index": _array(rows.bucket[:n], pa.int32()),
        "arrival_seq": _array(rows.seq[:n], pa.int64()),
        "ts_utc": _array(rows.ts[:n], schema.field("ts_utc").type),
        "tzid_primary": _words(rows.primary[:n], zones),
        "ts_local_primary": _array(rows.local_primary[:n], local),
        "tzid_settlement": _words(rows.settlement[:n], zones, if_virtual),
        "ts_local_settlement": _array(rows.local_settlement[:n], local, if_virtual),
        "tzid_operational": _words(rows.primary[:n], zones, if_virtual),
        "ts_local_operational": _array(rows.local_primary[:n], local, if_virtual),
        "is_virtual": pa.Array.from_buffers(pa.bool_(), n, [None, is_virtual]),
        "site_id": _array(rows.place_id[:n], pa.uint64(), if_physical),
        "edge_id": _array(rows.place_id[:n], pa.uint64(), if_virtual),
        "routing_universe_hash": _words(virtual.astype(np.int32), pa.array(universes, pa.string())),
    }
    return pa.Table.from_arrays([arrays[name] for name in schema.names], schema=schema)


def _bits(flags: U8) -> Any:
    return pa.py_buffer(np.packbits(flags, bitorder="little"))


def _array(values: Values, kind: pa.DataType, validity: Validity = (None, 0)) -> pa.Array:
    bits, nulls = validity
    return pa.Array.from_buffers(kind, len(values), [bits, pa.py_buffer(values)], nulls)


def _words(codes: Values, words: pa.Array, validity: Validity = (None, 0)) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(_array(codes, pa.int32(), validity), words, safe=False)
