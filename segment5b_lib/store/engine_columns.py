"""Columns as the data engine writes them, made into the contract's as they are read (contracts §6).

Times are text: RFC 3339 with microseconds. An instant ends in `Z`; a local time has no suffix, or the `Z` of the
defect, which means nothing: its digits are what the clock on the wall showed. Series may have no country: then every
row's country is NO_COUNTRY, and series that differ in nothing else are one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from segment5b_lib.contract.dataset import TS, WALL
from segment5b_lib.errors import InputError

COUNTRY: Final = "legal_country_iso"
NO_COUNTRY: Final = ""
"""The country of a row that has none."""
MARK: Final = "Z"
"""What says UTC at the end of a text."""
EXAMPLE: Final = "2026-01-01T00:00:00.000000Z"


def is_text(kind: pa.DataType) -> bool:
    """Whether a column is text, however it is coded."""
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(value) or pa.types.is_large_string(value) or pa.types.is_string_view(value))


def is_time(kind: pa.DataType) -> bool:
    """Whether a contract's column is an instant or a wall clock."""
    return bool(kind in (TS, WALL))


def typed(table: pa.Table, contract: pa.Schema, where: str) -> pa.Table:
    """A table with every text column that its contract calls a time made into that time; the rest as it is.

    InputError where a text is no time, or an instant has no `Z`.
    """
    for position, field in enumerate(table.schema):
        wanted = contract.field(field.name).type
        if is_time(wanted) and is_text(field.type):
            table = table.set_column(position, field.name, _times(table.column(position), wanted, where, field.name))
    return table


def with_country(table: pa.Table, columns: Sequence[str]) -> pa.Table:
    """A table with the columns asked for, in this order; NO_COUNTRY for countries where there is no such column."""
    if COUNTRY in columns and COUNTRY not in table.column_names:
        table = table.append_column(COUNTRY, no_country(table.num_rows))
    return table.select(list(columns))


def no_country(rows: int) -> pa.DictionaryArray:
    """A column of rows without a country."""
    return pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), rows), pa.array([NO_COUNTRY]))


def _times(column: pa.ChunkedArray, wanted: pa.DataType, where: str, name: str) -> pa.ChunkedArray:
    text = column.cast(pa.string())
    if wanted == WALL:
        text = pc.utf8_rtrim(text, characters=MARK)
    try:
        return text.cast(wanted)
    except pa.ArrowException as error:
        raise InputError(
            "5B.STORE.NOT_A_TIME",
            "a text is not the time that its column promises",
            where=f"{where}, column {name}",
            expected=EXAMPLE if wanted == TS else f"{EXAMPLE.removesuffix(MARK)}, with or without {MARK}",
            found=str(error).splitlines()[0][:200],
        ) from error


def sql_column(field: pa.Field, available: Sequence[str]) -> str:
    """A contract's column in a DuckDB projection of `available` columns, in the contract's type."""
    if field.name == COUNTRY and COUNTRY not in available:
        return f"'{NO_COUNTRY}' AS {COUNTRY}"
    kinds = {TS: "TIMESTAMPTZ", WALL: "TIMESTAMP"}
    return f"CAST({field.name} AS {kinds[field.type]}) AS {field.name}" if is_time(field.type) else str(field.name)
