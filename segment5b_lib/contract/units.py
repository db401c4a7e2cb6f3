"""Lengths of time as whole numbers: `_S` in seconds, `_US` in microseconds."""

from __future__ import annotations

from typing import Final

HOUR_S: Final = 3_600
DAY_S: Final = 86_400
SECOND_US: Final = 1_000_000
MINUTE_US: Final = 60 * SECOND_US
DAY_US: Final = DAY_S * SECOND_US
BEFORE_TIME: Final = -(2**63)
"""Second of the first entry of every table of transitions: its offset holds from the beginning of time."""
