"""DST windows: the hours around every change of a zone's offset, and which arrivals lie in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segment5b_lib.civil_time.oracle import expected_offsets
from segment5b_lib.contract.policies import CivilTimeMeasurement
from segment5b_lib.states.s5_expected_clock import MICROSECOND

ELSEWHERE: Final = -1
"""Number of the rows that lie in no window."""
_SIEVE_BITS: Final = 32
"""The sieve's cells are 2^32 microseconds (71.6 minutes) wide: a shift is cheaper than a division."""
I64 = NDArray[np.int64]
I32 = NDArray[np.int32]


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


class WindowFinder:
    """Finds the window of many arrivals at once; `words` gives the code of every zone."""

    def __init__(self, windows: Sequence[Window], words: Mapping[str, int]) -> None:
        # The last place is what ELSEWHERE points at: a window that nothing lies in.
        self._starts, self._ends = (
            np.array([getattr(window, name) for window in windows] + [0], np.int64) * MICROSECOND
            for name in ("start", "end")
        )
        self._layers = _layers(windows, words)
        # Cell 0 stands for all instants before the first window.
        earliest = min((window.start for window in windows), default=0) * MICROSECOND
        self._origin = earliest - (1 << _SIEVE_BITS)
        self._sieve = self._cells_of_windows()

    def find(self, ts: I64, zone: I32) -> tuple[NDArray[np.intp], I32]:
        """Rows that lie in a window, and the number of the window; `ts` is microseconds, `zone` a code or −1."""
        rows = np.flatnonzero(np.take(self._sieve, self._cell(ts), mode="clip"))
        instant, code = ts[rows], zone[rows]
        found = np.full(rows.size, ELSEWHERE, np.int32)
        for layer in self._layers:
            number = layer[code]
            inside = (instant >= self._starts[number]) & (instant < self._ends[number])
            found[inside] = number[inside]
        hit = found != ELSEWHERE
        return rows[hit], found[hit]

    def _cell(self, ts: I64) -> I64:
        return (ts - self._origin) >> _SIEVE_BITS

    def _cells_of_windows(self) -> NDArray[np.bool_]:
        """Which cells touch a window; the first cell stands for all before, the last for all after."""
        first, last = self._cell(self._starts[:-1]), self._cell(self._ends[:-1])
        cells = np.zeros(int(last.max(initial=0)) + 2, np.bool_)
        for start, end in zip(first, last, strict=True):
            cells[start : end + 1] = True
        return cells


def _layers(windows: Sequence[Window], words: Mapping[str, int]) -> list[I32]:
    """By zone the number of its first window, of its second, and so on; ELSEWHERE where it has none.

    The last place is what the code −1 of an unknown zone points at.
    """
    layers: list[I32] = []
    seen: Counter[str] = Counter()
    for number, window in enumerate(windows):
        if seen[window.tzid] == len(layers):
            layers.append(np.full(len(words) + 1, ELSEWHERE, np.int32))
        layers[seen[window.tzid]][words[window.tzid]] = number
        seen[window.tzid] += 1
    return layers
