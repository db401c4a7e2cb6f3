"""S4's summary compared with S3's counts row by row, and the sequence numbers that it declares."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from segment5b_lib.arrays import I32, I64, Flags
from segment5b_lib.kernel._check import check_array
from segment5b_lib.kernel._jit import lean_jit
from segment5b_lib.kernel.ledger_check import KeyColumns, SeriesKeys, misplaced

Unsigned = npt.NDArray[np.unsignedinteger]


@lean_jit
def _agrees(place: I64, columns: KeyColumns, keys: SeriesKeys, arrivals: I32, counts: Unsigned) -> bool:
    buckets = counts.shape[1]
    for row in range(place.size):
        s, bucket = place[row] // buckets, place[row] % buckets
        if misplaced(row, s, bucket, columns, keys) or arrivals[row] != counts[s, bucket]:
            return False
    return True


@lean_jit
def _add(
    place: I64,
    merchant_of: I64,
    arrivals: I32,
    virtual: I32,
    first_seq: I64,
    cell_first: I64,
    cells: I64,
    outside: Flags,
    virtual_of: I64,
    least_seq: I64,
) -> None:
    buckets = cells.shape[1]
    for row in range(place.size):
        s, bucket = place[row] // buckets, place[row] % buckets
        merchant, first = merchant_of[s], first_seq[row]
        low = cell_first[merchant, bucket]
        outside[row] = first < low or first > low + cells[merchant, bucket] - arrivals[row]
        virtual_of[s] += virtual[row]
        least_seq[merchant, bucket] = min(least_seq[merchant, bucket], first)


def summary_agrees(place: I64, columns: KeyColumns, keys: SeriesKeys, arrivals: I32, counts: Unsigned) -> bool:
    """Whether row i has the key of series p // H and bucket p % H, p = ``place[i]``, and the count that stands there.

    ``counts`` uint16 or uint32 [series, bucket] are S3's, ``arrivals`` int32 the summary's.
    """
    check_array("place", place, np.int64, (None,))
    check_array("arrivals", arrivals, np.int32, place.shape)
    check_array("counts", counts, np.uint32 if counts.dtype == np.uint32 else np.uint16, (None, None))
    return bool(_agrees(place, columns, keys, arrivals, counts))


def add_summary(
    place: I64,
    merchant_of: I64,
    arrivals: I32,
    virtual: I32,
    first_seq: I64,
    cell_first: I64,
    cells: I64,
    virtual_of: I64,
    least_seq: I64,
) -> Flags:
    """Add rows to ``virtual_of`` int64 [series] and to ``least_seq`` int64 [merchant, bucket], the least ``first_seq``.

    Returns which rows begin outside the numbers [cell_first, cell_first + cells) of their merchant's bucket, or so
    late that their arrivals do not fit in. ``merchant_of`` int64 [series]; both others int64 [merchant, bucket].
    """
    for name, array, kind in (("arrivals", arrivals, np.int32), ("virtual", virtual, np.int32)):
        check_array(name, array, kind, place.shape)
    check_array("first_seq", first_seq, np.int64, place.shape)
    outside = np.empty(place.size, np.bool_)
    _add(place, merchant_of, arrivals, virtual, first_seq, cell_first, cells, outside, virtual_of, least_seq)
    return outside
