"""Text columns as codes, one meaning for Arrow tables and for frames."""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from segment5b_lib.kernel.tally_tables import UNKNOWN
from segment5b_lib.store.columns import coded, codes, dictionary, word_codes, words

TEXT = ["b", None, "a", "b", "c"]
PLAIN = pa.chunked_array([pa.array(TEXT)])
PARTS = pa.chunked_array([pa.array(TEXT[:2]), pa.array(TEXT[2:])])
CODED = pa.chunked_array([pa.array(TEXT[:3]).dictionary_encode(), pa.array(TEXT[3:]).dictionary_encode()])


@pytest.mark.parametrize("column", [PLAIN, PARTS, CODED], ids=["plain", "in chunks", "coded in chunks"])
def test_codes_are_those_of_the_mapping_however_the_column_is_stored(column: pa.ChunkedArray) -> None:
    table, code_of = pa.table({"name": column}), {"a": 7, "b": 5}
    expected = [5, UNKNOWN, 7, 5, UNKNOWN]
    assert codes(table, "name", code_of).tolist() == expected
    positions, lookup = coded(table, "name", code_of)
    assert lookup[positions].tolist() == expected and positions.min() >= 0
    positions, listed = words(table, "name")
    assert [listed[at] if at != UNKNOWN else None for at in positions] == TEXT


def test_a_column_without_rows_or_words_has_no_codes() -> None:
    for column in (pa.array([], pa.string()), pa.array([None, None], pa.string())):
        assert codes(pa.table({"name": column}), "name", {"a": 1}).tolist() == [UNKNOWN] * len(column)


def test_a_frames_words_are_ascending_and_its_codes_are_positions_there() -> None:
    listed = dictionary(pl.Series(["c", "a", "c"]), ["b"])
    assert listed == ("a", "b", "c")
    found = word_codes(pl.Series(["b", None, "a"]), listed)
    assert found.dtype == np.int32 and found.tolist() == [1, UNKNOWN, 0]
    with pytest.raises(pl.exceptions.InvalidOperationError, match="unknown"):
        word_codes(pl.Series(["unknown"]), listed)
