"""Columns of `arrival_events_5B` straight from the kernel's row buffers: no copy of a value, no text built.

Site and edge ids share one buffer and differ in their validity; so do primary and operational zone and time,
which are the same for a virtual row, while a physical row has no operational ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from segment5b_lib.kernel.arrival_tables import Rows
from segment5b_lib.states.s4.codes import Codes

Values = NDArray[np.generic]


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


Validity = tuple[Any, int]
"""Validity bits and the number of nulls."""


def _bits(flags: NDArray[np.uint8]) -> Any:
    return pa.py_buffer(np.packbits(flags, bitorder="little"))


def _array(values: Values, kind: pa.DataType, validity: Validity = (None, 0)) -> pa.Array:
    bits, nulls = validity
    return pa.Array.from_buffers(kind, len(values), [bits, pa.py_buffer(values)], nulls)


def _words(codes: Values, words: pa.Array, validity: Validity = (None, 0)) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(_array(codes, pa.int32(), validity), words, safe=False)
