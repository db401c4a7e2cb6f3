"""What S4 let pass because a policy said so: one row each, so that it can be counted and found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from segment5b_lib.civil_time.horizon import Shortfall
from segment5b_lib.identity import canonical_json
from segment5b_lib.states.s4.civil_time import instant
from segment5b_lib.states.s4.expansion import Expansion, ShardResult

HORIZON_SHORT: Final = "HORIZON_SHORT"
SITE_MISSING_IN_ZONE: Final = "SITE_MISSING_IN_ZONE"

Anomaly = dict[str, Any]


def horizon_anomalies(shortfalls: Sequence[Shortfall]) -> list[Anomaly]:
    """One row per zone whose cached offsets are wrong from some instant of the horizon on."""
    return [
        _row(
            HORIZON_SHORT,
            {
                "tzid": short.tzid,
                "first_wrong_utc": instant(short.utc_second),
                "expected_offset_minutes": short.expected_minutes,
                "cached_offset_minutes": short.cached_minutes,
            },
            f"the transition cache is wrong for {short.tzid} from {instant(short.utc_second)} on",
        )
        for short in shortfalls
    ]


def astray_anomalies(expansion: Expansion, results: Sequence[ShardResult]) -> list[Anomaly]:
    """One row per series and zone whose arrivals went to the merchant's nearest zone instead, with their number."""
    counted: Counter[tuple[int, int]] = Counter()
    for result in results:
        first, _ = expansion.series_range(result.shard)
        for row, zone in np.argwhere(result.astray).tolist():
            counted[first + row, zone] += int(result.astray[row, zone])
    return [_astray(expansion, series, zone, counted[series, zone]) for series, zone in sorted(counted)]


def _astray(expansion: Expansion, series: int, zone: int, arrivals: int) -> Anomaly:
    key, needed = expansion.astray_key(series, zone)
    used = expansion.scenario.zone_used(key, needed)
    context = {**key, "tzid_needed": needed, "tzid_used": used, "arrivals": arrivals}
    return _row(
        SITE_MISSING_IN_ZONE,
        context,
        f"{arrivals} arrivals of merchant {key['merchant_id']} went to {used}: it has no site in {needed}",
    )


def _row(code: str, context: dict[str, Any], message: str) -> Anomaly:
    return {
        "anomaly_code": code,
        "severity": "warning",
        "context": canonical_json(context).decode(),
        "message": message,
    }


def anomaly_table(anomalies: Sequence[Anomaly], schema: pa.Schema) -> pa.Table:
    """Numbered rows; a valid typed table also when there are none."""
    numbered = [{"anomaly_id": number, **row} for number, row in enumerate(anomalies, start=1)]
    return pa.Table.from_pylist(numbered, schema=schema)
