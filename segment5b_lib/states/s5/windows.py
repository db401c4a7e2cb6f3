"""DST windows: the hours around every change of a zone's offset."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from segment5b_lib.civil_time.oracle import expected_offsets
from segment5b_lib.contract.validation_policy import CivilTimeMeasurement
from segment5b_lib.kernel.clock_windows import WindowTable, window_table
from segment5b_lib.states.s5.expected_clock import MICROSECOND


class Window(NamedTuple):
    """One change of a zone's offset: rows with ts_utc in [start, end), epoch seconds UTC, cut to the horizon."""

    tzid: str
    transition: int
    start: int
    end: int


def dst_strata(tzids: Iterable[str], start: int, end: int, policy: CivilTimeMeasurement) -> tuple[Window, ...]:
    """Windows of every change of offset in [start, end), epoch seconds UTC, as the oracle sees them."""
    half = policy.dst_window_hours * 3600
    return tuple(
        Window(tzid, int(t), max(start, int(t) - half), min(end, int(t) + half))
        for tzid in sorted(set(tzids))
        for t in expected_offsets(tzid, start, end).instants[1:]
    )


def table_of(windows: Sequence[Window], words: Mapping[str, int]) -> WindowTable:
    """Windows for the kernel, which finds them by zone; `words` gives the codes of the zones, ascending by name."""
    codes = [words[window.tzid] for window in windows]
    assert codes == sorted(codes), "windows come in the order of their zones"
    starts, ends = (
        np.array([getattr(window, name) for window in windows], np.int64) * MICROSECOND for name in ("start", "end")
    )
    return window_table(np.searchsorted(codes, np.arange(len(words) + 1)).astype(np.int64), starts, ends)
