"""Codes of countries, zones and channels: positions in the dictionaries of the arrival columns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray


@dataclass(frozen=True)
class Codes:
    """Names in ascending order; a name's code is its position."""

    countries: tuple[str, ...]
    zones: tuple[str, ...]
    channels: tuple[str, ...]


def dictionary(*columns: pl.Series | Iterable[str]) -> tuple[str, ...]:
    """All names of some columns, ascending."""
    distinct = (column.unique() if isinstance(column, pl.Series) else column for column in columns)
    return tuple(sorted({name for names in distinct for name in names}))


def encode(names: pl.Series, words: tuple[str, ...]) -> NDArray[np.int32]:
    """Codes int32 of a column whose names are all among `words`."""
    return names.cast(pl.Enum(words)).to_physical().cast(pl.Int32).to_numpy()
