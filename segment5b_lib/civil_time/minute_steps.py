"""The cache's offset policy: whole minutes, and only real changes of the minute-rounded offset."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

BEFORE_TIME = -(2**63)
"""Second of every zone's first entry: its offset holds since always."""


class Transitions(NamedTuple):
    """Offset of one zone as a step function; entry `i` holds on [utc_seconds[i], utc_seconds[i + 1]).

    Attributes
    ----------
    utc_seconds : ndarray(int64, ndim=1), epoch seconds UTC, strictly increasing, first entry BEFORE_TIME
    offset_minutes : ndarray(int32, ndim=1), local minus UTC in minutes, neighbours differ
    """

    utc_seconds: npt.NDArray[np.int64]
    offset_minutes: npt.NDArray[np.int32]


def minute_steps(base_offset: int, seconds: npt.NDArray[np.int64], offsets: npt.NDArray[np.int32]) -> Transitions:
    """Offsets in seconds to a minimal step function in minutes (nearest; a tie goes to the even minute).

    Local mean times such as +00:53:28 are the reason for the rounding; since 1972 every offset of the
    database is a whole minute.
    """
    minutes = np.rint(np.concatenate([[base_offset], offsets]) / 60).astype(np.int32)
    instants = np.concatenate([np.array([BEFORE_TIME], np.int64), seconds])
    real = np.concatenate([[True], minutes[1:] != minutes[:-1]])
    return Transitions(instants[real], minutes[real])
